//! Processes that this one has started and that shall not outlive it, however it ends.
//!
//! Each is a process group of its own: a ^C at a terminal reaches this process alone, which then ends the others in order.

use std::collections::BTreeSet;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};
use std::sync::{Mutex, PoisonError};

use rustix::process::{Pid, Signal, kill_process_group};

static GROUPS: Mutex<BTreeSet<u32>> = Mutex::new(BTreeSet::new());

/// Starts it in a group of its own, and remembers it until `forget`.
pub fn spawn(command: &mut Command) -> io::Result<Child> {
    // Locked meanwhile, so that none is left out by `kill_all`.
    let mut groups = GROUPS.lock().unwrap_or_else(PoisonError::into_inner);
    let child = command.process_group(0).spawn()?;
    groups.insert(child.id());
    Ok(child)
}

/// To be called once it has been waited for: its number may be given to others then.
pub fn forget(child: &Child) {
    GROUPS.lock().unwrap_or_else(PoisonError::into_inner).remove(&child.id());
}

/// Kills all groups that were not forgotten.
pub fn kill_all() {
    for group in std::mem::take(&mut *GROUPS.lock().unwrap_or_else(PoisonError::into_inner)) {
        if let Some(pid) = i32::try_from(group).ok().and_then(Pid::from_raw) {
            // It may have ended by itself.
            let _ = kill_process_group(pid, Signal::KILL);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::process::{getpgid, getpgrp};

    #[test]
    fn a_child_has_its_own_group_and_is_remembered() {
        let mut child = spawn(Command::new("sleep").arg("600")).unwrap();
        let pid = Pid::from_child(&child);
        assert_eq!(getpgid(Some(pid)).unwrap(), pid);
        assert_ne!(getpgrp(), pid);
        assert!(GROUPS.lock().unwrap().contains(&child.id()));
        forget(&child);
        assert!(!GROUPS.lock().unwrap().contains(&child.id()));
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
