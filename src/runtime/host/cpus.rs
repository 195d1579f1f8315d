//! Which CPUs the shards run on.

use std::collections::BTreeSet;
use std::io;

use crate::runtime::affinity::Affinity;

/// A CPU number beyond this is a mistake.
const CPU_MAX: usize = 1023;

/// What is wrong with a list of cores.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CoreListError {
    #[error("`{0}` is no core list\nwrite numbers and ranges, such as 0,2-5")]
    Malformed(String),
    #[error("core {core} is not allowed here\nchoose among {allowed}, or widen the cpuset")]
    NotAllowed { core: usize, allowed: String },
    #[error("no shard is left to run\nchoose at least one core and one shard")]
    Empty,
}

/// CPUs that this process may run on, ascending.
pub fn allowed_cpus() -> io::Result<Vec<usize>> {
    Ok(Affinity::of_this_thread()?.cpus())
}

/// Reads a list such as `0,2-5`; ascending, each core once.
pub fn parse_core_list(list: &str) -> Result<Vec<usize>, CoreListError> {
    let malformed = || CoreListError::Malformed(list.to_owned());
    let number =
        |text: &str| text.trim().parse::<usize>().ok().filter(|number| *number <= CPU_MAX).ok_or_else(malformed);
    let mut cores = BTreeSet::new();
    for part in list.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (number(first)?, number(last)?);
        if first > last {
            return Err(malformed());
        }
        cores.extend(first..=last);
    }
    Ok(cores.into_iter().collect())
}

/// The CPU of each shard: one shard per core, by default on every allowed one, or `shards` of them in turn.
pub fn choose_cpus(
    allowed: &[usize],
    cores: Option<&[usize]>,
    shards: Option<usize>,
) -> Result<Vec<usize>, CoreListError> {
    let cores = cores.unwrap_or(allowed);
    if let Some(core) = cores.iter().find(|core| !allowed.contains(core)) {
        return Err(CoreListError::NotAllowed { core: *core, allowed: format_core_list(allowed) });
    }
    let shards = shards.unwrap_or(cores.len());
    if cores.is_empty() || shards == 0 {
        return Err(CoreListError::Empty);
    }
    Ok(cores.iter().copied().cycle().take(shards).collect())
}

/// Writes an ascending list as [`parse_core_list`] reads it.
fn format_core_list(cores: &[usize]) -> String {
    let ranges: Vec<String> = cores
        .chunk_by(|core, next| core + 1 == *next)
        .map(|range| match range {
            [core] => core.to_string(),
            [first, .., last] => format!("{first}-{last}"),
            [] => unreachable!("chunks are not empty"),
        })
        .collect();
    ranges.join(",")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_list_survives_being_written(cores in prop::collection::btree_set(0_usize..64, 1..20)) {
            let cores: Vec<_> = cores.into_iter().collect();
            prop_assert_eq!(parse_core_list(&format_core_list(&cores)), Ok(cores));
        }
    }

    #[test]
    fn mistakes_are_named() {
        assert_eq!(parse_core_list(" 3, 0-1,1 "), Ok(vec![0, 1, 3]));
        for list in ["", "1,", "5-2", "a", "-1", "0-99999", "1-2-3"] {
            assert_eq!(parse_core_list(list), Err(CoreListError::Malformed(list.into())), "{list}");
        }
        let refused = choose_cpus(&[0, 1, 2, 5], Some(&[0, 3]), None);
        assert_eq!(refused, Err(CoreListError::NotAllowed { core: 3, allowed: "0-2,5".into() }));
    }

    #[test]
    fn more_shards_than_cores_take_turns() {
        assert_eq!(choose_cpus(&[0, 1], None, None), Ok(vec![0, 1]));
        assert_eq!(choose_cpus(&[0, 1], None, Some(5)), Ok(vec![0, 1, 0, 1, 0]));
        assert_eq!(choose_cpus(&[0, 1], Some(&[1]), Some(1)), Ok(vec![1]));
        assert_eq!(choose_cpus(&[0, 1], None, Some(0)), Err(CoreListError::Empty));
    }
}
