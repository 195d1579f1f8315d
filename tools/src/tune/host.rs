//! What a host tells of itself, below a root directory, so that tests can be hosts. Nothing is written.

use std::fs;
use std::path::{Component, Path, PathBuf};

pub struct Host {
    root: PathBuf,
    data_dir: PathBuf,
    interface: Option<String>,
}

/// A line of `/proc/self/mountinfo`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    pub point: PathBuf,
    pub kind: String,
    pub options: Vec<String>,
    /// MAJOR:MINOR.
    pub device: String,
}

impl Host {
    pub fn new(root: PathBuf, data_dir: &Path, interface: Option<String>) -> Host {
        Host { root, data_dir: existing(data_dir), interface }
    }

    fn at(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    pub fn has(&self, path: &str) -> bool {
        self.at(path).exists()
    }

    /// A file's text without the space around it; `None` if it can't be read.
    pub fn read(&self, path: &str) -> Option<String> {
        fs::read_to_string(self.at(path)).ok().map(|text| text.trim().to_owned())
    }

    pub fn number(&self, path: &str) -> Option<u64> {
        self.read(path)?.parse().ok()
    }

    /// Names in a directory, in order; numbers in theirs.
    pub fn names(&self, path: &str) -> Vec<String> {
        let entries = fs::read_dir(self.at(path)).into_iter().flatten().flatten();
        let mut names: Vec<String> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        names.sort_by_key(|name| (name.len(), name.clone()));
        names
    }

    /// The word in brackets, as the kernel marks a choice.
    pub fn chosen(&self, path: &str) -> Option<String> {
        let text = self.read(path)?;
        let after = text.split_once('[')?.1;
        Some(after.split_once(']')?.0.to_owned())
    }

    /// A field of this process's status.
    pub fn status(&self, name: &str) -> Option<String> {
        let text = self.read("/proc/self/status")?;
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':').map(str::trim))?;
        Some(value.to_owned())
    }

    /// CPUs that this process may use.
    pub fn cpus(&self) -> Vec<usize> {
        self.status("Cpus_allowed_list").map_or_else(Vec::new, |list| cpus(&list))
    }

    /// The interface that was named, or that of the default route.
    pub fn interface(&self) -> Option<String> {
        let of_route = || {
            let routes = self.read("/proc/net/route")?;
            let mut fields = routes.lines().skip(1).map(|line| line.split_whitespace());
            fields
                .find_map(|mut fields| Some((fields.next()?, fields.next()?)).filter(|(_, to)| *to == "00000000"))
                .map(|(name, _)| name.to_owned())
        };
        self.interface.clone().or_else(of_route)
    }

    /// Where the data directory is mounted.
    pub fn mount(&self) -> Option<Mount> {
        self.mount_of(&self.data_dir)
    }

    pub fn mount_of(&self, path: &Path) -> Option<Mount> {
        let text = self.read("/proc/self/mountinfo")?;
        let mounts = text.lines().filter_map(mount).filter(|mount| path.starts_with(&mount.point));
        // Of two mounts on one point the later one hides the other.
        mounts.max_by_key(|mount| mount.point.components().count())
    }

    /// The directory of a whole disk below `/sys/block`, by the device of a mount.
    pub fn disk(&self, device: &str) -> Option<String> {
        let found = fs::canonicalize(self.at(&format!("/sys/dev/block/{device}"))).ok()?;
        let whole = if found.join("partition").exists() { found.parent()?.to_owned() } else { found };
        whole.join("queue").exists().then_some(())?;
        Some(whole.file_name()?.to_string_lossy().into_owned())
    }

    /// A setting of the disk below the data directory, of its queue.
    pub fn queue(&self, name: &str) -> Option<(String, String)> {
        let disk = self.disk(&self.mount()?.device)?;
        let path = format!("/sys/block/{disk}/queue/{name}");
        self.has(&path).then_some((disk, path))
    }
}

/// The nearest directory above that is there, so that a data directory need not be made yet.
fn existing(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let there = absolute.ancestors().find_map(|above| fs::canonicalize(above).ok());
    there.unwrap_or_else(|| PathBuf::from(Component::RootDir.as_os_str()))
}

fn mount(line: &str) -> Option<Mount> {
    let (front, back) = line.split_once(" - ")?;
    let front: Vec<&str> = front.split(' ').collect();
    let mut back = back.split(' ');
    let (kind, _source, of_device) = (back.next()?, back.next()?, back.next().unwrap_or(""));
    let options = front.get(5)?.split(',').chain(of_device.split(','));
    Some(Mount {
        // Spaces are octal there.
        point: PathBuf::from(front.get(4)?.replace("\\040", " ")),
        kind: kind.to_owned(),
        options: options.map(str::to_owned).collect(),
        device: (*front.get(2)?).to_owned(),
    })
}

/// `0,2-3` as numbers.
pub fn cpus(list: &str) -> Vec<usize> {
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        Some(first.trim().parse::<usize>().ok()?..=last.trim().parse::<usize>().ok()?)
    };
    list.split(',').filter_map(range).flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_is_the_nearest_above() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("proc/self")).unwrap();
        let text = "21 1 254:1 / / rw,relatime - ext4 /dev/vda1 rw,discard\n22 21 254:16 / /srv rw - xfs /dev/vdb rw\n";
        fs::write(root.path().join("proc/self/mountinfo"), text).unwrap();
        let host = Host::new(root.path().to_owned(), Path::new("/"), None);
        let found = host.mount().unwrap();
        assert_eq!((found.kind.as_str(), found.device.as_str()), ("ext4", "254:1"));
        assert!(found.options.contains(&"discard".to_owned()) && found.options.contains(&"relatime".to_owned()));
        assert_eq!(host.mount_of(Path::new("/srv/data")).unwrap().kind, "xfs");
        assert_eq!(host.mount_of(Path::new("/srvdata")).unwrap().kind, "ext4");
    }

    #[test]
    fn lists_of_cpus_are_read() {
        assert_eq!(cpus("0,2-4"), [0, 2, 3, 4]);
        assert!(cpus("").is_empty());
    }
}
