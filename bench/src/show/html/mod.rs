//! Self-contained pages: inline SVG, no script, nothing fetched.

mod compare;
mod page;
mod plots;

pub use compare::comparison_page;
pub use page::page;
