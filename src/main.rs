//! The one binary.

fn main() {
    println!("duramen {}", env!("CARGO_PKG_VERSION"));
}
