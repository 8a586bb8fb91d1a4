//! `pipe doctor`.

use std::io::Read;
use std::process::{Command, Stdio};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use console::style;
use pipe_core::{Check, CheckState, Device};
use serde_json::json;

use crate::args::{DoctorArgs, Format, InfoArgs};
use crate::number::bytes;
use crate::project::{Place, store_folder_of};
use crate::{Program, Stop, output};

/// A device that computes nothing for so long does not work.
const PATIENCE: Duration = Duration::from_secs(120);

pub(crate) fn doctor(program: &Program, args: &DoctorArgs) -> Result<(), Stop> {
    if let Some(device) = args.attempt {
        return attempt(program, device);
    }
    let mut checks: Vec<Check> = program.kinds.all_checks().iter().flat_map(|checks| (checks.look)()).collect();
    checks.iter_mut().for_each(try_out);
    checks.push(store(&args.info));
    match args.info.format {
        Format::Json => output::result(&format!("{:#}\n", json!(checks)))?,
        Format::Text => output::result(&listed(&checks))?,
    }
    if checks.iter().any(|check| check.state == CheckState::Broken) { Err(Stop::Failed) } else { Ok(()) }
}

/// Computes something small here, and prints what came of it.
fn attempt(program: &Program, device: Device) -> Result<(), Stop> {
    for checks in program.kinds.all_checks() {
        match (checks.attempt)(device) {
            Ok(said) => output::result(&format!("{said}\n"))?,
            Err(why) => {
                output::message(&why);
                return Err(Stop::Failed);
            }
        }
    }
    Ok(())
}

/// Tries a device in a process of its own: a driver that is broken may abort or hang it.
fn try_out(check: &mut Check) {
    let Some(device) = check.device.filter(|_| check.state == CheckState::Good) else { return };
    match in_a_process(device) {
        Ok(said) => check.text = format!("{}; {said}", check.text),
        Err(why) => {
            check.state = CheckState::Broken;
            check.text = format!("{}; {why}", check.text);
        }
    }
}

fn in_a_process(device: Device) -> Result<String, String> {
    let failed = |error: std::io::Error| format!("cannot be tried: {error}");
    let program = std::env::current_exe().map_err(failed)?;
    let mut command = Command::new(program);
    command.args(["doctor", "--attempt", &device.to_string()]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().map_err(failed)?;
    // Read while it runs: a pipe that is full would stop it.
    let out = child.stdout.take().map(read_all);
    let err = child.stderr.take().map(read_all);
    let began = Instant::now();
    while child.try_wait().map_err(failed)?.is_none() {
        if began.elapsed() > PATIENCE {
            // One that is gone already is as it should be.
            let _ = child.kill().and_then(|()| child.wait());
            return Err("kernels do not run: nothing came for two minutes".to_owned());
        }
        thread::sleep(Duration::from_millis(20));
    }
    let is_good = child.wait().map_err(failed)?.success();
    let text = if is_good { out } else { err }.and_then(|text| text.join().ok()).unwrap_or_default();
    let text = text.trim();
    if is_good {
        return Ok(text.to_owned());
    }
    // A panic says where it was before it says why.
    let is_why = |line: &&str| !line.is_empty() && !line.contains("panicked at");
    let first = text.lines().find(is_why).unwrap_or("the process died");
    Err(format!("kernels do not run: {first}"))
}

fn read_all(mut from: impl Read + Send + 'static) -> JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        // What cannot be read is not told.
        let _ = from.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// Whether the store can be written.
fn store(info: &InfoArgs) -> Check {
    let file = super::store::file(info);
    let folder = store_folder_of(file);
    if !folder.exists() {
        return Check::new("store", CheckState::Absent, format!("{}: the first run makes it", folder.display()));
    }
    let place = match Place::of(file) {
        Ok(place) => place,
        Err(error) => return Check::new("store", CheckState::Broken, error.to_string()),
    };
    let size = bytes(place.store.usage().bytes());
    let text = format!("{}, {size}", place.store_folder.display());
    match place.store.work_folder() {
        Ok(_) => Check::new("store", CheckState::Good, text),
        Err(error) => Check::new("store", CheckState::Broken, format!("{text}; it cannot be written: {error}"))
            .help("nothing that a run computes can be kept there; PIPE_STORE names another place"),
    }
}

fn listed(checks: &[Check]) -> String {
    let width = checks.iter().map(|check| check.name.len()).max().unwrap_or_default();
    let mut text =
        format!("pipe {}, {} on {}\n\n", env!("CARGO_PKG_VERSION"), std::env::consts::ARCH, std::env::consts::OS);
    for check in checks {
        let mark = match check.state {
            CheckState::Good => style("✓").green(),
            CheckState::Absent => style("-").dim(),
            CheckState::Broken => style("✗").red().bold(),
        };
        text.push_str(&format!("{mark} {:<width$}  {}\n", check.name, check.text));
        if let Some(help) = &check.help {
            text.push_str(&format!("  {:<width$}  {}\n", "", style(help).dim()));
        }
    }
    text
}
