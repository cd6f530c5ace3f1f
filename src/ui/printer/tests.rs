use std::io::Cursor;

use super::testing::{Captured, captured, on, on_terminal};
use super::*;

fn options() -> PrinterOptions {
    PrinterOptions::default()
}

#[test]
fn data_goes_to_stdout_and_everything_else_to_stderr() {
    let (printer, out, err) = captured(options());
    printer.data("value");
    printer.note("note");
    printer.warn("careful");
    printer.error("it failed", &["try again".to_owned()]);
    assert_eq!(out.text(), "value\n");
    assert_eq!(
        err.text(),
        "note\nwarning: careful\nerror: it failed\nhint: try again\n"
    );
}

#[test]
fn quiet_drops_notes_and_nothing_else() {
    let (printer, out, err) = captured(PrinterOptions {
        quiet: true,
        ..options()
    });
    printer.data("value");
    printer.note("note");
    printer.warn("careful");
    printer.error("it failed", &[]);
    assert_eq!(out.text(), "value\n");
    assert_eq!(err.text(), "warning: careful\nerror: it failed\n");
}

#[test]
fn in_json_every_line_of_both_streams_is_an_object() {
    let (printer, out, err) = captured(PrinterOptions {
        json: true,
        ..options()
    });
    printer.json_line(&json!({ "a": [1, "two\nlines"] }));
    printer.note("note");
    printer.error("it failed", &["try again".to_owned()]);
    assert_eq!(out.text(), "{\"a\":[1,\"two\\nlines\"]}\n");
    let lines: Vec<Value> = err
        .lines()
        .iter()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines[0], json!({ "type": "note", "message": "note" }));
    assert_eq!(
        lines[1],
        json!({ "type": "error", "message": "it failed", "hints": ["try again"] })
    );
}

#[test]
fn colour_depends_on_the_stream_the_environment_and_the_choice() {
    let terminal = Surroundings {
        stdout_is_terminal: true,
        ..Surroundings::default()
    };
    let style = |color, around| {
        let printer = on(
            PrinterOptions { color, ..options() },
            around,
            Box::new(io::sink()),
            Captured::default(),
        );
        (printer.style().colour, printer.note_style().colour)
    };
    let no_color = Surroundings {
        no_color: true,
        ..terminal
    };
    let dumb = Surroundings {
        dumb: true,
        ..terminal
    };
    assert_eq!(style(ColorChoice::Auto, terminal), (true, false));
    assert_eq!(style(ColorChoice::Auto, no_color), (false, false));
    assert_eq!(style(ColorChoice::Auto, dumb), (false, false));
    assert_eq!(style(ColorChoice::Never, terminal), (false, false));
    assert_eq!(style(ColorChoice::Always, no_color), (true, true));
}

#[test]
fn a_text_coloured_for_stdout_is_plain_on_a_stderr_that_is_no_terminal() {
    let around = Surroundings {
        stdout_is_terminal: true,
        ..Surroundings::default()
    };
    let err = Captured::default();
    let printer = on(options(), around, Box::new(io::sink()), err.clone());
    printer.note(printer.style().red("gone"));
    assert_eq!(err.text(), "gone\n");
}

#[test]
fn nobody_is_asked_without_a_terminal_in_ci_or_with_no_input() {
    let around = Surroundings {
        stdin_is_terminal: true,
        stderr_is_terminal: true,
        ..Surroundings::default()
    };
    let interactive = |options, around| {
        on(options, around, Box::new(io::sink()), Captured::default()).is_interactive()
    };
    assert!(interactive(options(), around));
    assert!(!interactive(
        options(),
        Surroundings {
            in_ci: true,
            ..around
        }
    ));
    assert!(!interactive(
        options(),
        Surroundings {
            stdin_is_terminal: false,
            ..around
        }
    ));
    assert!(!interactive(
        PrinterOptions {
            no_input: true,
            ..options()
        },
        around
    ));
}

#[test]
fn only_yes_is_yes() {
    let (printer, _, err) = captured(PrinterOptions {
        quiet: true,
        ..options()
    });
    for (answer, is_yes) in [
        ("yes\n", true),
        ("Y\n", true),
        ("\n", false),
        ("yep\n", false),
        ("no\n", false),
        ("", false),
    ] {
        assert_eq!(
            printer.ask("Go on?", &mut Cursor::new(answer)),
            is_yes,
            "{answer:?}"
        );
    }
    assert!(err.text().starts_with("Go on? [y/N] "));
    let (silent, _, err) = captured(PrinterOptions {
        no_input: true,
        ..options()
    });
    assert!(!silent.confirm("Go on?"));
    assert_eq!(err.text(), "");
}

struct Failing(io::ErrorKind);

impl Write for Failing {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(self.0.into())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_reader_that_had_enough_is_no_error_and_a_full_disk_is_one() {
    let write_to = |kind| {
        let err = Captured::default();
        let stdout = Box::new(Failing(kind));
        let printer = on(options(), Surroundings::default(), stdout, err.clone());
        printer.data("one");
        printer.data("two");
        (printer.has_lost_data(), err.lines().len())
    };
    assert_eq!(write_to(io::ErrorKind::BrokenPipe), (false, 0));
    let (lost, lines) = write_to(io::ErrorKind::StorageFull);
    assert!(lost);
    assert_eq!(lines, 2, "one error and one hint, once");
}

#[test]
fn a_log_that_nobody_reads_is_no_failure() {
    let (printer, _, _) = captured(options());
    printer.outlets().stderr = Box::new(Failing(io::ErrorKind::BrokenPipe));
    let mut log = printer.log_writer();
    assert_eq!(log.write(b"a line\n").unwrap(), 7);
    assert!(log.flush().is_ok());
}

#[test]
fn the_screen_is_only_opened_on_a_terminal() {
    assert!(!captured(options()).0.open_screen());
    assert!(on_terminal(options()).0.open_screen());
}
