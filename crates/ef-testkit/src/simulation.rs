//! What a simulated run is made of: a world that ends when it is told to, components and a store that misbehave by plan.
//!
//! Everything is a function of a seed. Together with a runtime of one thread and a paused clock, a run in such a world
//! happens in the same way every time, and a failure is reproduced by its seed alone.
//!
//! What can be seen of a run from outside (a call to a component, a call to the store, a row that is read) is a *step*. A world is told at which step it ends. To end between two steps is the same as to end at the later one, as
//! nothing that happens between them leaves a mark: so ending at any step is ending at any await point.

mod chance;
mod components;
mod people;
mod store;
mod world;

pub use chance::Chance;
pub use components::{Script, SimulatedEvaluator, SimulatedJudge};
pub use people::People;
pub use store::{StoreFaults, UnreliableStore};
pub use world::{Call, Limits, Step, World, WorldPlan};
