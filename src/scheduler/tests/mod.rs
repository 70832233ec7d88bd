//! The scheduler as a whole: its decisions in scenarios and under random input, and its behaviour
//! against the daemon in memory on a paused clock.

mod adoption;
mod convergence;
mod crashes;
mod health;
mod life;
mod lifecycle;
mod scenarios;
mod unreadable;
mod world;

pub(super) use world::PausedClock;
