//! The results: verb × fault, in cells and in runs.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::cells::Fault;

/// One field of the table.
#[derive(Clone, Copy, Debug, Default)]
pub struct Count {
    /// AWS calls of the run, each with this fault.
    pub cells: usize,
    pub passed: usize,
    /// The cells that did not come up, because a run polls more or less often than another.
    pub missed: usize,
    /// Runs that it took.
    pub runs: usize,
}

#[derive(Default)]
pub struct Table {
    counts: BTreeMap<(&'static str, Fault), Count>,
    pub failures: Vec<String>,
}

impl Table {
    pub fn count(&mut self, verb: &'static str, fault: Fault) -> &mut Count {
        self.counts.entry((verb, fault)).or_default()
    }
}

impl std::fmt::Display for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut text = String::from(
            "| command | fault | cells | passed | runs | not met |\n|---|---|---|---|---|---|\n",
        );
        let mut total = Count::default();
        for ((verb, fault), count) in &self.counts {
            let Count {
                cells,
                passed,
                missed,
                runs,
            } = count;
            let _written = writeln!(
                text,
                "| {verb} | {} | {cells} | {passed} | {runs} | {missed} |",
                fault.name()
            );
            total.cells += cells;
            total.passed += passed;
            total.missed += missed;
            total.runs += runs;
        }
        let Count {
            cells,
            passed,
            missed,
            runs,
        } = total;
        let _written = writeln!(
            text,
            "| all | all | {cells} | {passed} | {runs} | {missed} |"
        );
        f.write_str(&text)
    }
}
