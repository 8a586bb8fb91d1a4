//! How busy an NVIDIA GPU is and how much of its memory is taken, as NVML tells; without NVML nothing
//! is told.
//!
//! Calling into a shared library cannot be checked by the compiler.
#![allow(unsafe_code)]

use std::ffi::{CString, c_char, c_int, c_uint, c_void};
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use libloading::{Library, Symbol};

use crate::{ComputeDevice, driver};

/// From one look to the next.
const PAUSE: Duration = Duration::from_millis(200);

/// `nvmlReturn_t nvmlInit_v2(void)`; 0 is success.
type Init = unsafe extern "C" fn() -> c_int;
/// `nvmlReturn_t nvmlDeviceGetHandleByPciBusId_v2(const char *id, nvmlDevice_t *device)`.
type GetHandle = unsafe extern "C" fn(*const c_char, *mut *mut c_void) -> c_int;
/// `nvmlReturn_t nvmlDeviceGetUtilizationRates(nvmlDevice_t device, nvmlUtilization_t *rates)`.
type GetRates = unsafe extern "C" fn(*mut c_void, *mut Rates) -> c_int;
/// `nvmlReturn_t nvmlDeviceGetMemoryInfo(nvmlDevice_t device, nvmlMemory_t *memory)`.
type GetMemory = unsafe extern "C" fn(*mut c_void, *mut Memory) -> c_int;

/// `nvmlUtilization_t`: percents of the last sample's time in which kernels ran, or memory was used.
#[repr(C)]
#[derive(Default)]
struct Rates {
    gpu: c_uint,
    memory: c_uint,
}

/// `nvmlMemory_t`, in bytes.
#[repr(C)]
#[derive(Default)]
struct Memory {
    total: u64,
    free: u64,
    used: u64,
}

/// How a GPU was used while it was watched, by whomever.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DeviceUse {
    /// The part of the time in which kernels ran, in 0..=1.
    pub busy: f64,
    /// The bytes of its memory that were taken, at most.
    pub memory: u64,
}

/// Looks at a GPU from time to time, until it is dropped.
#[derive(Debug)]
pub struct Watch {
    seen: Arc<Mutex<Seen>>,
    has_ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Seen {
    looks: u32,
    busy: f64,
    memory: u64,
    last: Option<DeviceUse>,
}

impl Watch {
    /// Starts looking; `None` where there is nothing to look with.
    pub fn start(device: ComputeDevice) -> Option<Self> {
        let ComputeDevice::Cuda(number) = device else { return None };
        let nvml = Nvml::open(&driver::look().ok()?.devices.get(number)?.bus)?;
        let (seen, has_ended) = (Arc::<Mutex<Seen>>::default(), Arc::<AtomicBool>::default());
        let (notes, end) = (Arc::clone(&seen), Arc::clone(&has_ended));
        let look = move || {
            while !end.load(Ordering::Relaxed) {
                if let Some((busy, memory)) = nvml.look() {
                    let mut seen = notes.lock().unwrap_or_else(PoisonError::into_inner);
                    seen.looks += 1;
                    seen.busy += busy;
                    seen.memory = seen.memory.max(memory);
                    seen.last = Some(DeviceUse { busy, memory });
                }
                thread::park_timeout(PAUSE);
            }
        };
        let thread = thread::Builder::new().name("nvml".to_owned()).spawn(look).ok()?;
        Some(Self { seen, has_ended, thread: Some(thread) })
    }

    /// What was seen at the last look; `None` before the first.
    pub fn now(&self) -> Option<DeviceUse> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).last
    }

    /// What was seen until now; `None` before the first look.
    pub fn told(&self) -> Option<DeviceUse> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        (seen.looks > 0).then(|| DeviceUse { busy: seen.busy / f64::from(seen.looks), memory: seen.memory })
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.has_ended.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // It cannot panic, and there is nothing to tell if it did.
            drop(thread.join());
        }
    }
}

/// NVML, and one device of its.
struct Nvml {
    library: &'static Library,
    /// `nvmlDevice_t`.
    device: Handle,
}

/// Points to what NVML keeps.
struct Handle(*mut c_void);

// SAFETY: NVML says that its functions may be called from any thread; the pointer is only handed back to it.
unsafe impl Send for Handle {}

/// NVML's library. It is started once, and stays so until the process ends.
fn started() -> Option<&'static Library> {
    static STARTED: OnceLock<Option<Library>> = OnceLock::new();
    let start = || {
        let library = driver::open(&["libnvidia-ml.so.1", "nvml.dll"])?;
        // SAFETY: the symbol has had this signature since NVML 5, and is used before `library` goes anywhere.
        let init: Symbol<'_, Init> = unsafe { library.get(b"nvmlInit_v2\0") }.ok()?;
        // SAFETY: it takes nothing.
        let code = unsafe { init() };
        (code == 0).then_some(library)
    };
    STARTED.get_or_init(start).as_ref()
}

impl Nvml {
    fn open(bus: &str) -> Option<Self> {
        let library = started()?;
        let bus = CString::new(bus).ok()?;
        let mut device = ptr::null_mut();
        // SAFETY: the symbol has had this signature since NVML 5, and `library` stays open.
        let get: Symbol<'_, GetHandle> = unsafe { library.get(b"nvmlDeviceGetHandleByPciBusId_v2\0") }.ok()?;
        // SAFETY: the text ends with a zero; the pointer is to a live pointer that the call fills in.
        let is_known = unsafe { get(bus.as_ptr(), &raw mut device) } == 0;
        is_known.then_some(Self { library, device: Handle(device) })
    }

    /// The part of the time in which kernels ran, and the bytes of memory that are taken.
    fn look(&self) -> Option<(f64, u64)> {
        // SAFETY: as in `open`.
        let (of_rates, of_memory) = unsafe {
            let rates: Symbol<'_, GetRates> = self.library.get(b"nvmlDeviceGetUtilizationRates\0").ok()?;
            let memory: Symbol<'_, GetMemory> = self.library.get(b"nvmlDeviceGetMemoryInfo\0").ok()?;
            (rates, memory)
        };
        let (mut rates, mut memory) = (Rates::default(), Memory::default());
        // SAFETY: the device is one that NVML gave; the pointer is to a live struct of its layout.
        let has_rates = unsafe { of_rates(self.device.0, &raw mut rates) } == 0;
        // SAFETY: as above.
        let has_memory = unsafe { of_memory(self.device.0, &raw mut memory) } == 0;
        (has_rates && has_memory).then(|| (f64::from(rates.gpu) / 100.0, memory.used))
    }
}
