//! Limits that a control group sets, in version 2 and 1 of the interface. What cannot be read is no limit.

use std::fs;
use std::path::{Path, PathBuf};

/// Bytes of memory.
pub(super) fn memory_limit() -> Option<u64> {
    memory_limit_at(Path::new("/sys/fs/cgroup"), &own_groups())
}

/// CPUs' worth of time.
pub(super) fn cpu_quota() -> Option<f64> {
    cpu_quota_at(Path::new("/sys/fs/cgroup"), &own_groups())
}

fn own_groups() -> String {
    fs::read_to_string("/proc/self/cgroup").unwrap_or_default()
}

fn memory_limit_at(mount: &Path, groups: &str) -> Option<u64> {
    let number =
        |directory: PathBuf, file: &str| fs::read_to_string(directory.join(file)).ok()?.trim().parse::<u64>().ok();
    let unified = directories(mount, "", groups).filter_map(|directory| number(directory, "memory.max"));
    let legacy = directories(&mount.join("memory"), "memory", groups)
        .filter_map(|directory| number(directory, "memory.limit_in_bytes"));
    unified.chain(legacy).min()
}

fn cpu_quota_at(mount: &Path, groups: &str) -> Option<f64> {
    let unified = directories(mount, "", groups).filter_map(|directory| {
        let text = fs::read_to_string(directory.join("cpu.max")).ok()?;
        let (quota, period) = text.trim().split_once(' ')?;
        Some(quota.parse::<f64>().ok()? / period.parse::<f64>().ok()?)
    });
    let legacy = directories(&mount.join("cpu"), "cpu", groups).filter_map(|directory| {
        let number = |file: &str| fs::read_to_string(directory.join(file)).ok()?.trim().parse::<f64>().ok();
        // -1 is no limit.
        Some(number("cpu.cfs_quota_us").filter(|quota| *quota > 0.0)? / number("cpu.cfs_period_us")?)
    });
    unified.chain(legacy).min_by(f64::total_cmp)
}

/// The directories of the process's group in `controller` (none in version 2), from its own up to the mount: a limit of
/// any of them holds. Inside a container the path may not be visible, but the mount is its own group then.
fn directories(mount: &Path, controller: &str, groups: &str) -> impl Iterator<Item = PathBuf> + use<> {
    let own = groups.lines().find_map(|line| {
        let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
        controllers.split(',').any(|name| name == controller).then_some(path)
    });
    let mount = mount.to_owned();
    let innermost = own.map(|path| mount.join(path.trim_start_matches('/')));
    let within = move |directory: &PathBuf| directory.starts_with(&mount);
    std::iter::successors(innermost, |directory| directory.parent().map(Path::to_owned)).take_while(within)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, content) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        root
    }

    #[test]
    fn the_tightest_limit_on_the_way_up_holds() {
        let root = tree(&[
            ("a/memory.max", "2000\n"),
            ("a/b/memory.max", "max\n"),
            ("a/b/cpu.max", "150000 100000\n"),
            ("a/cpu.max", "max 100000\n"),
            ("other/memory.max", "1\n"),
        ]);
        assert_eq!(memory_limit_at(root.path(), "0::/a/b\n"), Some(2000));
        assert_eq!(cpu_quota_at(root.path(), "0::/a/b\n"), Some(1.5));
    }

    #[test]
    fn version_1_is_understood() {
        let root = tree(&[
            ("memory/box/memory.limit_in_bytes", "4096\n"),
            ("cpu/cpu.cfs_quota_us", "50000\n"),
            ("cpu/cpu.cfs_period_us", "100000\n"),
            ("cpu/box/cpu.cfs_quota_us", "-1\n"),
            ("cpu/box/cpu.cfs_period_us", "100000\n"),
        ]);
        let groups = "5:memory:/box\n3:cpu,cpuacct:/box\n";
        assert_eq!(memory_limit_at(root.path(), groups), Some(4096));
        assert_eq!(cpu_quota_at(root.path(), groups), Some(0.5));
    }

    #[test]
    fn nothing_to_read_is_no_limit() {
        let root = tree(&[]);
        assert_eq!(memory_limit_at(root.path(), "0::/gone\n"), None);
        assert_eq!(cpu_quota_at(root.path(), ""), None);
    }
}
