//! What people and programs see of a run: a summary, progress, JSON, a log of histograms, a page.

pub mod hlog;
pub mod html;
pub mod json;
pub mod progress;
pub mod text;

pub use hlog::Hlog;
pub use html::{comparison_page, page};
pub use progress::Terminal;
pub use text::{row_text, text};
