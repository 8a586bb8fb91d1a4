//! Asks the NVIDIA driver what is there, before Burn touches it: Burn panics on several threads
//! where there is no driver.
//!
//! The one module with `unsafe`: calling into a shared library cannot be checked by the compiler.
#![allow(unsafe_code)]

use std::ffi::c_int;
use std::path::PathBuf;

use libloading::{Library, Symbol};

/// `CUresult cuInit(unsigned int flags)`; 0 is success.
type CuInit = unsafe extern "C" fn(u32) -> c_int;
/// `CUresult cuDeviceGetCount(int *count)`.
type CuDeviceGetCount = unsafe extern "C" fn(*mut c_int) -> c_int;

/// How many CUDA devices there are.
pub(crate) fn cuda_devices() -> Result<usize, String> {
    let driver =
        open(&["libcuda.so.1", "libcuda.so", "nvcuda.dll"]).ok_or("no NVIDIA driver (libcuda) on this machine")?;
    // SAFETY: both symbols belong to the CUDA driver API and have had these signatures since
    // CUDA 2; `driver` outlives the symbols.
    let (init, count) = unsafe {
        let init: Symbol<'_, CuInit> = driver.get(b"cuInit\0").map_err(|error| error.to_string())?;
        let count: Symbol<'_, CuDeviceGetCount> =
            driver.get(b"cuDeviceGetCount\0").map_err(|error| error.to_string())?;
        (init, count)
    };
    // SAFETY: `cuInit` takes no pointer; flags must be 0 and are.
    let code = unsafe { init(0) };
    if code != 0 {
        return Err(format!("the NVIDIA driver does not start (cuInit gave {code})"));
    }
    let mut devices: c_int = 0;
    // SAFETY: the pointer is to a live `c_int` that the call fills in.
    let code = unsafe { count(&raw mut devices) };
    if code != 0 {
        return Err(format!("the NVIDIA driver counts no devices (cuDeviceGetCount gave {code})"));
    }
    usize::try_from(devices).map_err(|_| "the NVIDIA driver counts no devices".to_owned())
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

fn open(names: &[&str]) -> Option<Library> {
    // SAFETY: these are the vendor's libraries; loading them runs only their own initialisers.
    names.iter().find_map(|name| unsafe { Library::new(*name) }.ok())
}
