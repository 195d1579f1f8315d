//! Clients that are broken or mean: each gets the right error or a closed connection, and nobody else notices.

mod bare;
#[path = "hostile/batches.rs"]
mod batches;
#[path = "hostile/fuzz.rs"]
mod fuzz;
#[path = "hostile/gone.rs"]
mod gone;
#[path = "hostile/many.rs"]
mod many;
mod process;
#[path = "hostile/requests.rs"]
mod requests;
#[path = "hostile/rig.rs"]
mod rig;
#[path = "hostile/slow.rs"]
mod slow;
#[path = "hostile/waiting.rs"]
mod waiting;
