//! Random lives of a stack: commands one after the other, each in its own weather, and what happens
//! between them.

use std::fmt;

use jiff::SignedDuration;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use super::model::{Model, declare, draw, model, models};
use super::trace;
use super::weather::{Weather, clear_the_sky, weather};
use super::world::World;
use crate::engine::Declaration;

/// What a user runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Command {
    Up,
    Down,
}

/// What happens after a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    /// The next command follows at once.
    Nothing,
    /// The next command follows an hour later.
    Later,
    /// The state is lost.
    Lost,
    /// The state is damaged, and the one before the last save takes its place.
    Damaged,
}

/// One run and its end.
#[derive(Clone, Debug)]
struct Scene {
    command: Command,
    /// Which configuration is wanted by then.
    configuration: usize,
    weather: Weather,
    then: Then,
}

/// A life of a stack; it ends with the last configuration.
#[derive(Clone, Debug)]
pub(super) struct Story {
    declarations: Vec<Declaration>,
    scenes: Vec<Scene>,
}

fn scene(thens: Vec<Then>) -> impl Strategy<Value = (Command, Weather, Then, Index)> {
    let command = prop_oneof![3 => Just(Command::Up), 1 => Just(Command::Down)];
    let then = prop::sample::select(thens);
    (command, weather(0..4), then, any::<Index>())
}

fn scenes(thens: Vec<Then>) -> impl Strategy<Value = Vec<(Command, Weather, Then, Index)>> {
    vec(scene(thens), 1..5)
}

/// Lives in which the wish changes.
pub(super) fn changing() -> impl Strategy<Value = Story> {
    let thens = vec![Then::Nothing, Then::Nothing, Then::Later];
    (models(3), scenes(thens)).prop_map(|(models, scenes)| story(&models, scenes))
}

/// Lives in which the state is lost, whatever was going on. What is not declared any more and stands
/// in no state can only be found by a look at the whole cloud, so the wish stays the same.
pub(super) fn losing() -> impl Strategy<Value = Story> {
    let thens = vec![
        Then::Nothing,
        Then::Later,
        Then::Lost,
        Then::Lost,
        Then::Damaged,
    ];
    (model(), scenes(thens)).prop_map(|(model, scenes)| story(&[model], scenes))
}

fn story(models: &[Model], scenes: Vec<(Command, Weather, Then, Index)>) -> Story {
    let declarations: Vec<_> = models.iter().map(declare).collect();
    let mut configuration = 0;
    let scenes = scenes.into_iter().map(|(command, weather, then, index)| {
        // Nobody goes back to an earlier configuration more often than forward.
        configuration = (configuration + index.index(2)).min(declarations.len() - 1);
        Scene {
            command,
            configuration,
            weather: weather.without_late_updates(),
            then,
        }
    });
    let scenes = scenes.collect();
    Story {
        declarations,
        scenes,
    }
}

impl Story {
    /// What is wanted in the end.
    pub(super) fn last(&self) -> &Declaration {
        &self.declarations[self.declarations.len() - 1]
    }

    /// Lives it, and gives the world in which the last command can be run.
    pub(super) async fn live(&self) -> World {
        let mut world = World::new();
        let mut is_known = true;
        for scene in &self.scenes {
            let declaration = &self.declarations[scene.configuration];
            scene.weather.over(&mut world, declaration);
            let ended = match scene.command {
                Command::Up => world.up(declaration).await,
                Command::Down => world.down(declaration).await,
            };
            clear_the_sky(&mut world);
            world.assert_law_abiding();
            is_known |= ended.is_complete();
            let forgotten = world.forgotten();
            assert!(
                !is_known || forgotten.is_empty(),
                "forgotten: {forgotten:?}"
            );
            trace::note(|| format!("{}then: {:?}", world.cloud.time(), scene.then));
            if matches!(scene.then, Then::Lost | Then::Damaged) {
                // What neither stands anywhere nor shows reliably yet cannot be found by anybody.
                world.pass(90).await;
            }
            match scene.then {
                Then::Nothing => {}
                Then::Later => {
                    world.pass(3600).await;
                    age(&world, SignedDuration::from_hours(1));
                }
                Then::Lost => world.disk.set(None),
                Then::Damaged => world.disk.restore_previous(),
            }
            is_known &= !matches!(scene.then, Then::Lost | Then::Damaged);
        }
        world
    }
}

/// Lets the moments in the state lie further back: virtual time is not what is written there.
fn age(world: &World, by: SignedDuration) {
    let Some(mut state) = world.disk.state() else {
        return;
    };
    for record in state.records.values_mut() {
        let intent = record.intent.as_mut().map(|intent| &mut intent.since);
        let moments = [&mut record.created_at, &mut record.ready_at];
        for moment in moments.into_iter().flatten().chain(intent) {
            *moment -= by;
        }
    }
    world.disk.set(Some(state));
}

impl fmt::Display for Story {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, declaration) in self.declarations.iter().enumerate() {
            writeln!(f, "configuration {number}:{}", draw(declaration))?;
        }
        for scene in &self.scenes {
            let (command, then) = (scene.command, scene.then);
            let command = format!("{command:?}").to_lowercase();
            writeln!(
                f,
                "orderctl {command}, configuration {}",
                scene.configuration
            )?;
            writeln!(f, "    {}", scene.weather)?;
            if then != Then::Nothing {
                writeln!(f, "    then: {then:?}")?;
            }
        }
        Ok(())
    }
}
