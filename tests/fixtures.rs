//! Data directories that earlier builds have left, one of a clean stop and one of a `kill -9` for each format version:
//! every later build opens them and serves all that is in them. `tests/fixtures/README.md` has the rule.
//!
//! That a directory of a newer format is refused and left alone is tested in `tests/startup/refusals.rs`.

mod bare;
#[path = "fixtures/check.rs"]
mod check;
#[path = "fixtures/content.rs"]
mod content;
#[path = "fixtures/make.rs"]
mod make;
mod process;
mod support;

use duramen::serve::data_dir::FORMAT_VERSION;

use self::check::Opened;
use self::content::{Content, Ending, archive};

/// With as many shards as wrote them, and with fewer and more.
const SHARDS: [u16; 3] = [2, 1, 3];

#[test]
fn directories_of_a_clean_stop_are_served() {
    serve_all(Ending::Clean);
}

#[test]
fn directories_of_a_kill_are_served() {
    serve_all(Ending::Killed);
}

fn serve_all(ending: Ending) {
    for version in 1..=FORMAT_VERSION {
        let content = Content::read(version, ending);
        assert_eq!((content.format, content.ending), (version, ending));
        for shards in SHARDS {
            Opened::new(&content, shards).check();
        }
    }
}

#[test]
fn fixtures_are_small() {
    const BYTES_MAX: u64 = 200 << 10;
    for version in 1..=FORMAT_VERSION {
        for ending in [Ending::Clean, Ending::Killed] {
            let bytes = archive(version, ending).metadata().expect("every version has its archives").len();
            assert!(bytes < BYTES_MAX, "an archive of {bytes} bytes stays in the repository for ever");
        }
    }
}

#[test]
#[ignore = "makes the fixtures of the current format anew: tests/fixtures/README.md says when"]
fn make_the_current_format() {
    make::both();
}
