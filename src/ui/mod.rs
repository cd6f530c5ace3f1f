//! Everything a person or a script reads: the printer, the views of plans and reports, the
//! progress of a run. Views turn values into text and print nothing; only the printer writes.

mod board;
pub mod difference_view;
pub mod doctor_view;
pub mod import_view;
pub mod json;
pub mod logs_view;
pub mod plan_view;
pub mod printer;
pub mod progress;
pub mod push_view;
pub mod rebuild_view;
pub mod release_view;
mod removal_view;
pub mod report_view;
mod screen;
pub mod stacks_view;
pub mod state_view;
pub mod status_view;
mod style;
pub mod table;
mod text;
mod values;

pub use printer::{ColorChoice, Live, LogWriter, Printer, PrinterOptions};
pub use progress::{Follower, follow};
pub use style::Style;
pub use text::took as duration;
