//! The brokers that take part: started, measured and stopped, or only named.

pub mod duramen;
pub mod external;
pub mod kafka;
pub mod limit;
