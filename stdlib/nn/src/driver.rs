//! Asks the NVIDIA driver what is there, before Burn touches it: Burn panics on several threads
//! where there is no driver.
//!
//! Calling into a shared library cannot be checked by the compiler.
#![allow(unsafe_code)]

use std::ffi::{c_char, c_int, c_void};
use std::fmt;
use std::path::PathBuf;
use std::ptr;
use std::sync::OnceLock;

use libloading::{Library, Symbol};

/// `CUresult cuInit(unsigned int flags)`; 0 is success.
type CuInit = unsafe extern "C" fn(u32) -> c_int;
/// `CUresult cuDriverGetVersion(int *version)`, `CUresult cuDeviceGetCount(int *count)`.
type CuGetInt = unsafe extern "C" fn(*mut c_int) -> c_int;
/// `CUresult cuDeviceGet(CUdevice *device, int ordinal)`.
type CuDeviceGet = unsafe extern "C" fn(*mut c_int, c_int) -> c_int;
/// `CUresult cuDeviceGetName(char *name, int length, CUdevice device)`.
type CuDeviceGetName = unsafe extern "C" fn(*mut c_char, c_int, c_int) -> c_int;
/// `CUresult cuDeviceTotalMem_v2(size_t *bytes, CUdevice device)`.
type CuDeviceTotalMem = unsafe extern "C" fn(*mut usize, c_int) -> c_int;
/// `CUresult cuDeviceGetAttribute(int *value, CUdevice_attribute attribute, CUdevice device)`.
type CuDeviceGetAttribute = unsafe extern "C" fn(*mut c_int, c_int, c_int) -> c_int;
/// `CUresult cuDeviceGetPCIBusId(char *id, int length, CUdevice device)`.
type CuDeviceGetPciBusId = unsafe extern "C" fn(*mut c_char, c_int, c_int) -> c_int;
/// `CUresult cuDevicePrimaryCtxRetain(CUcontext *context, CUdevice device)`.
type CuDevicePrimaryCtxRetain = unsafe extern "C" fn(*mut *mut c_void, c_int) -> c_int;
/// `CUresult cuCtxPushCurrent_v2(CUcontext context)`.
type CuCtxPushCurrent = unsafe extern "C" fn(*mut c_void) -> c_int;
/// `CUresult cuCtxPopCurrent_v2(CUcontext *context)`.
type CuCtxPopCurrent = unsafe extern "C" fn(*mut *mut c_void) -> c_int;
/// `CUresult cuMemGetInfo_v2(size_t *free, size_t *total)`.
type CuMemGetInfo = unsafe extern "C" fn(*mut usize, *mut usize) -> c_int;

/// What has to be free for kernels and the smallest network.
const LEAST_MEMORY: usize = 512 << 20;

/// `CU_DEVICE_ATTRIBUTE_COMPUTE_MODE`, and what it is where no process may use the device.
const COMPUTE_MODE: c_int = 20;
const PROHIBITED: c_int = 2;
/// `CUDA_ERROR_OUT_OF_MEMORY`, `CUDA_ERROR_DEVICE_UNAVAILABLE`, `CUDA_ERROR_NO_DEVICE` and
/// `CUDA_ERROR_SYSTEM_DRIVER_MISMATCH`.
const OUT_OF_MEMORY: c_int = 2;
const UNAVAILABLE: c_int = 46;
const NO_DEVICE: c_int = 100;
const MISMATCH: c_int = 803;
/// `CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR` and `..._MINOR`.
const CAPABILITY: (c_int, c_int) = (75, 76);

/// What the NVIDIA driver knows.
pub(crate) struct Driver {
    /// The newest CUDA that it runs, 1000 times the major version and 10 times the minor one.
    pub(crate) cuda: i32,
    pub(crate) devices: Vec<Device>,
}

/// An NVIDIA GPU as its driver knows it.
pub(crate) struct Device {
    name: String,
    /// Bytes.
    pub(crate) memory: u64,
    /// Major and minor version of what its cores can do.
    pub(crate) capability: (c_int, c_int),
    /// Where it is plugged in, as NVML knows it too.
    pub(crate) bus: String,
    is_prohibited: bool,
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (gibibytes, (major, minor)) = (self.memory as f64 / f64::from(1 << 30), self.capability);
        write!(f, "{}, {gibibytes:.0} GiB, compute capability {major}.{minor}", self.name)?;
        f.write_str(if self.is_prohibited { ", no process may use it" } else { "" })
    }
}

/// What the driver knows. It is asked once: it counts its devices as it starts, and never again.
pub(crate) fn look() -> Result<&'static Driver, String> {
    static FOUND: OnceLock<Result<Driver, String>> = OnceLock::new();
    FOUND.get_or_init(ask).as_ref().map_err(Clone::clone)
}

fn ask() -> Result<Driver, String> {
    let library = library()?;
    // SAFETY: all symbols belong to the CUDA driver API and have had these signatures since CUDA 4;
    // `library` stays open.
    let (init, version, count, get, name, memory, bus, attribute) = unsafe {
        let init: Symbol<'_, CuInit> = library.get(b"cuInit\0").map_err(none)?;
        let version: Symbol<'_, CuGetInt> = library.get(b"cuDriverGetVersion\0").map_err(none)?;
        let count: Symbol<'_, CuGetInt> = library.get(b"cuDeviceGetCount\0").map_err(none)?;
        let get: Symbol<'_, CuDeviceGet> = library.get(b"cuDeviceGet\0").map_err(none)?;
        let name: Symbol<'_, CuDeviceGetName> = library.get(b"cuDeviceGetName\0").map_err(none)?;
        let memory: Symbol<'_, CuDeviceTotalMem> = library.get(b"cuDeviceTotalMem_v2\0").map_err(none)?;
        let bus: Symbol<'_, CuDeviceGetPciBusId> = library.get(b"cuDeviceGetPCIBusId\0").map_err(none)?;
        let attribute: Symbol<'_, CuDeviceGetAttribute> = library.get(b"cuDeviceGetAttribute\0").map_err(none)?;
        (init, version, count, get, name, memory, bus, attribute)
    };
    let (mut cuda, mut devices) = (0, 0);
    // SAFETY: `cuInit` takes no pointer; flags must be 0 and are.
    said("cuInit", unsafe { init(0) })?;
    // SAFETY: the pointers are to live `c_int`s that the calls fill in.
    said("cuDriverGetVersion", unsafe { version(&raw mut cuda) })?;
    // SAFETY: as above.
    said("cuDeviceGetCount", unsafe { count(&raw mut devices) })?;
    let mut told = Vec::new();
    for ordinal in 0..devices {
        let (mut device, mut bytes, mut text, mut place) = (0, 0_usize, [0 as c_char; 256], [0 as c_char; 32]);
        // SAFETY: the pointer is to a live `c_int` that the call fills in.
        said("cuDeviceGet", unsafe { get(&raw mut device, ordinal) })?;
        // SAFETY: the call writes at most as many bytes as the array has, a zero among them.
        said("cuDeviceGetName", unsafe { name(text.as_mut_ptr(), text.len() as c_int, device) })?;
        // SAFETY: as above.
        said("cuDeviceGetPCIBusId", unsafe { bus(place.as_mut_ptr(), place.len() as c_int, device) })?;
        // SAFETY: the pointer is to a live `usize` that the call fills in.
        said("cuDeviceTotalMem", unsafe { memory(&raw mut bytes, device) })?;
        let attribute = |which: c_int| {
            let mut value = 0;
            // SAFETY: the pointer is to a live `c_int` that the call fills in.
            said("cuDeviceGetAttribute", unsafe { attribute(&raw mut value, which, device) }).map(|()| value)
        };
        told.push(Device {
            name: words(&text),
            memory: bytes as u64,
            bus: words(&place),
            capability: (attribute(CAPABILITY.0)?, attribute(CAPABILITY.1)?),
            is_prohibited: attribute(COMPUTE_MODE)? == PROHIBITED,
        });
    }
    Ok(Driver { cuda, devices: told })
}

/// Whether a process may compute on the device of that number, and has room to.
///
/// Its context stays, for Burn takes the same one.
pub(crate) fn try_context(number: usize) -> Result<(), String> {
    if look()?.devices.get(number).is_some_and(|device| device.is_prohibited) {
        return Err(format!(
            "no process may compute on GPU {number}, its compute mode says: `nvidia-smi -i {number} -c DEFAULT` lets them"
        ));
    }
    let library = library()?;
    // SAFETY: as in `ask`.
    let (get, retain, push, pop, memory) = unsafe {
        let get: Symbol<'_, CuDeviceGet> = library.get(b"cuDeviceGet\0").map_err(none)?;
        let retain: Symbol<'_, CuDevicePrimaryCtxRetain> = library.get(b"cuDevicePrimaryCtxRetain\0").map_err(none)?;
        let push: Symbol<'_, CuCtxPushCurrent> = library.get(b"cuCtxPushCurrent_v2\0").map_err(none)?;
        let pop: Symbol<'_, CuCtxPopCurrent> = library.get(b"cuCtxPopCurrent_v2\0").map_err(none)?;
        let memory: Symbol<'_, CuMemGetInfo> = library.get(b"cuMemGetInfo_v2\0").map_err(none)?;
        (get, retain, push, pop, memory)
    };
    let (mut device, mut context, mut popped) = (0, ptr::null_mut(), ptr::null_mut());
    let (mut free, mut total) = (0_usize, 0_usize);
    // SAFETY: the pointer is to a live `c_int` that the call fills in; `look` above has started the driver.
    said("cuDeviceGet", unsafe { get(&raw mut device, number as c_int) })?;
    // SAFETY: the pointer is to a live pointer that the call fills in.
    match unsafe { retain(&raw mut context, device) } {
        UNAVAILABLE => return Err(format!("GPU {number} is in exclusive use by another process")),
        OUT_OF_MEMORY => return Err(format!("the memory of GPU {number} is full: others use it")),
        code => said("cuDevicePrimaryCtxRetain", code)?,
    }
    // SAFETY: the context is the one that the driver just gave.
    said("cuCtxPushCurrent", unsafe { push(context) })?;
    // SAFETY: the pointers are to live `usize`s that the call fills in.
    let told = said("cuMemGetInfo", unsafe { memory(&raw mut free, &raw mut total) });
    // SAFETY: the pointer is to a live pointer that the call fills in; the context was pushed above.
    said("cuCtxPopCurrent", unsafe { pop(&raw mut popped) })?;
    told?;
    if free < LEAST_MEMORY {
        let (free, total) = (free >> 20, total >> 20);
        return Err(format!("only {free} of {total} MiB of the memory of GPU {number} are free: others use it"));
    }
    Ok(())
}

/// Whether kernels can be compiled at run time: NVRTC and the CUDA headers.
pub(crate) fn cuda_compiler() -> Result<(), String> {
    let names = ["libnvrtc.so", "libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so.11", "nvrtc64_120_0.dll"];
    if open(&names).is_none() {
        return Err("no NVRTC (libnvrtc): install the CUDA toolkit's nvrtc package".to_owned());
    }
    let folder = std::env::var_os("CUDA_PATH").map_or_else(|| PathBuf::from("/usr/local/cuda"), PathBuf::from);
    if folder.join("include").is_dir() {
        return Ok(());
    }
    Err(format!("no CUDA headers in {}: install the toolkit's cudart-dev package or set CUDA_PATH", folder.display()))
}

/// The driver's library. It stays open, as the contexts that it gives do.
fn library() -> Result<&'static Library, String> {
    static LIBRARY: OnceLock<Option<Library>> = OnceLock::new();
    let library = LIBRARY.get_or_init(|| open(&["libcuda.so.1", "libcuda.so", "nvcuda.dll"]));
    library.as_ref().ok_or("no NVIDIA driver (libcuda) on this machine".to_owned())
}

fn none(error: libloading::Error) -> String {
    format!("the NVIDIA driver is broken or too old: {error}")
}

/// `CUresult` in words.
fn said(what: &str, code: c_int) -> Result<(), String> {
    match code {
        0 => Ok(()),
        NO_DEVICE => Err("the NVIDIA driver knows no GPU".to_owned()),
        MISMATCH => Err("the NVIDIA driver's library and kernel module are of different versions: \
                         restart the machine, or install them anew"
            .to_owned()),
        code => Err(format!("the NVIDIA driver does not start ({what} gave {code})")),
    }
}

/// The characters before the zero.
fn words(text: &[c_char]) -> String {
    let bytes: Vec<u8> = text.iter().map(|&byte| byte as u8).take_while(|&byte| byte != 0).collect();
    String::from_utf8_lossy(&bytes).into_owned()
}

pub(crate) fn open(names: &[&str]) -> Option<Library> {
    // SAFETY: these are the vendor's libraries; loading them runs only their own initialisers.
    names.iter().find_map(|name| unsafe { Library::new(*name) }.ok())
}
