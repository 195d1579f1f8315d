//! What people and programs see of a run: a summary, progress, JSON, a log of histograms, a page.

pub mod figures;
pub mod hlog;
pub mod html;
pub mod json;
pub mod plan;
pub mod progress;
pub mod repeat;
pub mod text;

#[cfg(test)]
mod sample;

pub use hlog::Hlog;
pub use html::{comparison_page, page};
pub use progress::Terminal;
pub use text::{row_text, text};

use crate::Error;
use crate::drive::Tally;
use crate::options::common::Output;
use crate::outcome::Second;
use crate::plan::Plan;
use crate::run::Watch;

/// All that watch a run.
pub struct Several {
    terminal: Option<Terminal>,
    hlog: Option<Hlog>,
}

impl Several {
    pub fn new(output: &Output) -> Result<Several, Error> {
        let terminal = if output.quiet { None } else { Terminal::new() };
        Ok(Several { terminal, hlog: output.hlog.as_deref().map(Hlog::create).transpose()? })
    }

    /// Tells what could not be written.
    pub fn finish(self) -> Result<(), Error> {
        if let Some(terminal) = self.terminal {
            terminal.finish();
        }
        self.hlog.map_or(Ok(()), Hlog::finish)
    }

    fn all(&mut self) -> impl Iterator<Item = &mut dyn Watch> {
        let terminal = self.terminal.as_mut().map(|watch| watch as &mut dyn Watch);
        terminal.into_iter().chain(self.hlog.as_mut().map(|watch| watch as &mut dyn Watch))
    }
}

impl Watch for Several {
    fn begins(&mut self, plan: &Plan, wall_ms: i64) {
        self.all().for_each(|watch| watch.begins(plan, wall_ms));
    }

    fn second(&mut self, second: &Second, tally: &Tally) {
        self.all().for_each(|watch| watch.second(second, tally));
    }
}
