//! Points at which tests make the program die or the disk fill up.
//!
//! `PIPE_FAULT=kill:NAME:N` kills the process with SIGKILL when it reaches the point NAME for the
//! Nth time; `full:NAME:N` makes every write from then on fail as on a full disk. `PIPE_FAULT_LOG`
//! names a file that every point reached is appended to. Only in builds with debug assertions: a
//! release has no such points.

use std::io;

/// A place where something is about to be written.
///
/// # Errors
/// When a test asked for a full disk.
#[cfg(not(debug_assertions))]
#[inline(always)]
pub fn point(_: &'static str) -> io::Result<()> {
    Ok(())
}

/// A place where something is about to be written.
///
/// # Errors
/// When a test asked for a full disk.
#[cfg(debug_assertions)]
pub fn point(name: &'static str) -> io::Result<()> {
    use std::io::Write;
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

    static FAULT: OnceLock<Option<(String, String, usize)>> = OnceLock::new();
    static REACHED: AtomicUsize = AtomicUsize::new(0);
    static FULL: AtomicBool = AtomicBool::new(false);

    if let Some(log) = std::env::var_os("PIPE_FAULT_LOG") {
        let file = std::fs::OpenOptions::new().create(true).append(true).open(log);
        let _ = file.and_then(|mut file| writeln!(file, "{name}"));
    }
    let fault = FAULT.get_or_init(|| {
        let text = std::env::var("PIPE_FAULT").ok()?;
        let mut parts = text.split(':').map(str::to_owned);
        Some((parts.next()?, parts.next()?, parts.next()?.parse().ok()?))
    });
    let Some((action, wanted, times)) = fault else { return Ok(()) };
    if (wanted == name || wanted == "any") && REACHED.fetch_add(1, Ordering::SeqCst) + 1 == *times {
        match action.as_str() {
            "kill" => kill(),
            _ => FULL.store(true, Ordering::SeqCst),
        }
    }
    if FULL.load(Ordering::SeqCst) { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
}

#[cfg(debug_assertions)]
fn kill() -> ! {
    let id = std::process::id().to_string();
    // The signal that no program can see coming.
    let _ = std::process::Command::new("kill").args(["-KILL", &id]).status();
    std::process::abort();
}
