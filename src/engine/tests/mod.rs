//! The engine over a fake cloud, under virtual time: real graphs, plans, runs, teardowns and
//! journals. The cloud loses answers, throttles, shows things late and cuts the power; the stack
//! must come out right all the same.

mod cloud;
mod disk;
mod faults;
mod kinds;
mod laws;
mod objects;
mod trace;
mod world;

mod applying;
mod changing;
mod failing;
mod finding;
mod interrupting;
mod leasing;
mod model;
mod properties;
mod rebuilding;
mod removing;
mod retold;
mod returning;
mod stopping;
mod stories;
mod sweeping;
mod weather;
