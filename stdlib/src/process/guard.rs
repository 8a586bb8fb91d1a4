//! Sees to it that commands end with the program, also where it is killed.
//!
//! A process that is killed cannot stop what it started. So a small shell script, started with the
//! first command, is told of every command's process group through a pipe; when the pipe breaks it
//! stops those that are left.

use std::io::{self, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError};

/// Reads `+ GROUP` and `- GROUP` until there is no more to read.
const SCRIPT: &str = r#"
trap '' INT TERM HUP
groups=' '
while read -r sign group; do
  case $sign in
    +) groups="$groups$group " ;;
    -) case $groups in *" $group "*) groups="${groups%%" $group "*} ${groups#*" $group "}" ;; esac ;;
  esac
done
[ "$groups" = ' ' ] && exit
for group in $groups; do kill -s TERM -- "-$group"; done
sleep 1
for group in $groups; do kill -s KILL -- "-$group"; done
"#;

static GUARD: OnceLock<Option<Mutex<ChildStdin>>> = OnceLock::new();

/// A command that is being watched, until this is dropped.
#[derive(Debug)]
pub(super) struct Watched(u32);

/// Starts a command, whose process group is stopped should the program die.
pub(super) fn spawn(command: &mut Command) -> io::Result<(Child, Watched)> {
    // The guard first: the time in which a command runs unwatched is that of a write to a pipe.
    GUARD.get_or_init(start);
    let child = command.spawn()?;
    tell('+', child.id());
    let watched = Watched(child.id());
    Ok((child, watched))
}

impl Drop for Watched {
    fn drop(&mut self) {
        tell('-', self.0);
    }
}

fn tell(sign: char, group: u32) {
    // Without a guard commands are stopped all the same, unless the program is killed.
    let Some(Some(guard)) = GUARD.get() else { return };
    let mut pipe = guard.lock().unwrap_or_else(PoisonError::into_inner);
    let _ = pipe.write_all(format!("{sign} {group}\n").as_bytes());
}

#[cfg(unix)]
fn start() -> Option<Mutex<ChildStdin>> {
    let mut command = Command::new("/bin/sh");
    command.arg("-c").arg(SCRIPT).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    // A Ctrl-C at the terminal is not for it.
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    let mut child = command.spawn().ok()?;
    child.stdin.take().map(Mutex::new)
}

#[cfg(not(unix))]
fn start() -> Option<Mutex<ChildStdin>> {
    None
}
