//! `orderctl logs`: prints what the containers write, once or as it comes.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use jiff::{Span, SpanRelativeTo, Timestamp};

use super::session::{DONE, Local, Session};
use super::{CommandError, interrupt};
use crate::aws::Aws;
use crate::cli::Globals;
use crate::engine::{Stop, settle};
use crate::logs::{self, Event, INVALID, Query, Window};
use crate::resource::{Class, Error};
use crate::stack::{CONTAINER, LOG_STREAM_PREFIX, Names};
use crate::ui::Printer;
use crate::ui::logs_view::{self, Lines};

/// Prints what the containers of the service write.
///
/// Before each line stands the beginning of the id of the task that wrote it. On a terminal, colours and
/// control characters of the messages are taken out; elsewhere every byte is passed on.
#[derive(Args, Debug)]
pub struct LogsArgs {
    /// How far back to begin: 10m, 1h, 2d, or a time such as 2026-01-02T03:04:05Z
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = since)]
    since: Since,
    /// Only events that match this CloudWatch filter pattern
    #[arg(long, value_name = "PATTERN", allow_hyphen_values = true)]
    filter: Option<String>,
    /// Only of the task whose id begins so
    #[arg(long, value_name = "ID", value_parser = task)]
    task: Option<String>,
    /// Go on with what is written from now on, until Ctrl-C
    #[arg(long, short)]
    follow: bool,
    /// Print when each event was written
    #[arg(long)]
    timestamps: bool,
}

/// Where to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Since {
    /// So long ago.
    Ago(Duration),
    /// At this moment.
    At(Timestamp),
}

impl Since {
    fn moment(self, now: Timestamp) -> Timestamp {
        match self {
            // Before the beginning of time is its beginning.
            Self::Ago(ago) => now.checked_sub(ago).unwrap_or(Timestamp::UNIX_EPOCH),
            Self::At(moment) => moment,
        }
    }
}

fn since(text: &str) -> Result<Since, String> {
    if let Ok(moment) = text.parse::<Timestamp>() {
        return match moment > Timestamp::now() {
            true => Err("that is in the future".to_owned()),
            false => Ok(Since::At(moment)),
        };
    }
    let span = text.parse::<Span>().ok();
    let duration = span.and_then(|span| {
        let days = SpanRelativeTo::days_are_24_hours();
        Duration::try_from(span.to_duration(days).ok()?).ok()
    });
    let ago = duration.ok_or("write it as 10m, 1h, 2d, or as 2026-01-02T03:04:05Z")?;
    Ok(Since::Ago(ago))
}

/// A task's id or the beginning of one; of an ARN, the id in it.
fn task(text: &str) -> Result<String, String> {
    let id = text.rsplit('/').next().unwrap_or(text);
    match !id.is_empty() && id.chars().all(|c| c.is_ascii_hexdigit() || c == '-') {
        true => Ok(id.to_owned()),
        false => Err("the id of a task has the digits 0-9 and a-f".to_owned()),
    }
}

/// Runs the command.
pub async fn run(
    args: LogsArgs,
    globals: &Globals,
    printer: &Printer,
) -> Result<ExitCode, CommandError> {
    // Nothing has to be given back, but whoever ends a log by Ctrl-C need not be told so.
    let stop = interrupt::holding();
    let reading = read(args, globals, printer, &stop);
    match stop.cut(reading).await {
        Ok(done) => done.map(|()| DONE),
        Err(_) => Err(CommandError::Reported(interrupt::INTERRUPTED)),
    }
}

async fn read(
    args: LogsArgs,
    globals: &Globals,
    printer: &Printer,
    stop: &Stop,
) -> Result<(), CommandError> {
    let local = Local::open(globals, printer).await?;
    let session = Session::reach(local, globals, printer).await?;
    let names = Names::of(&session.local.suffix);
    let query = Query {
        group: names.log_group(),
        // The stack's task definitions name their streams `ecs/<container>/<task id>`.
        stream_prefix: args
            .task
            .map(|id| format!("{LOG_STREAM_PREFIX}/{CONTAINER}/{id}")),
        filter: args.filter.filter(|pattern| !pattern.is_empty()),
    };
    let begin = args.since.moment(Timestamp::now());
    let lines = Lines::new(
        printer.style(),
        args.timestamps,
        printer.is_stdout_terminal(),
    );
    let mut reader = Reader {
        aws: &session.aws,
        query,
        follow: args.follow,
        trouble: Trouble::default(),
        lines,
        printer,
        stop,
    };
    let shown = reader.run(begin).await?;
    if shown == 0 && !args.follow {
        printer.note("No events were written in that time; --since 1h looks further back.");
    }
    Ok(())
}

/// How often a follower asks for what is new.
const POLL: Duration = Duration::from_secs(2);
/// The pause between two pages: an account has a few calls of FilterLogEvents per second, for all who
/// read logs in it.
const BETWEEN_PAGES: Duration = Duration::from_millis(200);

struct Reader<'a> {
    aws: &'a Aws,
    query: Query,
    follow: bool,
    trouble: Trouble,
    lines: Lines,
    printer: &'a Printer,
    stop: &'a Stop,
}

impl Reader<'_> {
    /// Prints everything from `begin` on, and gives how many events that were. Ends at the present, or
    /// when nobody reads any more; a follower ends only so.
    async fn run(&mut self, begin: Timestamp) -> Result<usize, CommandError> {
        let mut window = Window::from(begin);
        let until = (!self.follow).then(Timestamp::now);
        let mut token: Option<String> = None;
        let mut shown = 0;
        loop {
            let (from, next) = (window.start(), token.as_deref());
            let page = match logs::page(self.aws, &self.query, from, until, next).await {
                Ok(page) => page,
                Err(error) => {
                    let pause = self.trouble.met(error, self.follow, self.printer)?;
                    settle(pause, self.stop).await;
                    continue;
                }
            };
            self.trouble.is_over(self.printer);
            let fresh = window.take(page.events, Timestamp::now());
            shown += fresh.len();
            self.print(&fresh);
            if self.printer.is_stdout_closed() {
                return Ok(shown);
            }
            token = page.next;
            if token.is_some() {
                settle(BETWEEN_PAGES, self.stop).await;
            } else if self.follow {
                window.advance();
                settle(POLL, self.stop).await;
            } else {
                return Ok(shown);
            }
        }
    }

    /// Prints a page at once: line by line would be slow.
    fn print(&mut self, events: &[Event]) {
        if events.is_empty() {
            return;
        }
        let text = events.iter().map(|event| match self.printer.is_json() {
            true => logs_view::to_json(event).to_string(),
            false => self.lines.render(event),
        });
        self.printer.data(text.collect::<Vec<_>>().join("\n"));
    }
}

/// What stands in the way of reading, told once until it is over.
#[derive(Debug, Default)]
struct Trouble {
    /// How many attempts in a row have failed, if any.
    attempts: u32,
    is_network: bool,
}

impl Trouble {
    /// How long to pause before the same is asked again.
    ///
    /// # Errors
    /// If trying again does not help; that is so for everything but AWS's wish for fewer calls, and
    /// lost answers while following.
    fn met(
        &mut self,
        error: Error,
        follow: bool,
        printer: &Printer,
    ) -> Result<Duration, CommandError> {
        let is_network = match error.class() {
            Class::Throttled => false,
            Class::Unclear if follow => true,
            _ => return Err(refusal(error)),
        };
        if self.attempts == 0 || is_network != self.is_network {
            printer.warn(match is_network {
                true => format!("{error}; trying again until it works"),
                false => "AWS limits how often logs are read in this account; going on more slowly"
                    .to_owned(),
            });
        }
        self.is_network = is_network;
        let pause = LONGEST_PAUSE.min(POLL * 2_u32.pow(self.attempts.min(8)));
        self.attempts += 1;
        // Several who were refused at once shall not come back at once.
        Ok(pause.mul_f64(0.5 + fastrand::f64() / 2.0))
    }

    fn is_over(&mut self, printer: &Printer) {
        if self.attempts > 0 && self.is_network {
            printer.note("The logs are read again.");
        }
        *self = Self::default();
    }
}

/// The longest pause between two attempts.
const LONGEST_PAUSE: Duration = Duration::from_secs(20);

/// What AWS says about a filter pattern is said about what the user gave.
fn refusal(error: Error) -> CommandError {
    match error.advice() {
        Some(advice) if error.is(&[INVALID]) => CommandError::usage(error.to_string()).hint(advice),
        _ => error.into(),
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_cloudwatchlogs::Client;
    use aws_sdk_cloudwatchlogs::operation::filter_log_events::{
        FilterLogEventsError, FilterLogEventsOutput,
    };
    use aws_sdk_cloudwatchlogs::types::FilteredLogEvent;
    use aws_smithy_mocks::mock;
    use aws_smithy_types::error::ErrorMetadata;

    use super::*;
    use crate::aws::testing::mocked;
    use crate::ui::PrinterOptions;
    use crate::ui::printer::testing::captured;

    #[test]
    fn a_beginning_is_a_duration_or_a_moment() {
        let minutes = |count: u64| Ok(Since::Ago(Duration::from_secs(60 * count)));
        assert_eq!(since("10m"), minutes(10));
        assert_eq!(since("1h"), minutes(60));
        assert_eq!(since("2d"), minutes(2 * 24 * 60));
        assert_eq!(since("1h 30m"), minutes(90));
        let moment = "2026-01-02T03:04:05Z";
        assert_eq!(since(moment), Ok(Since::At(moment.parse().unwrap())));
        let local = since("2026-01-02T05:04:05+02:00");
        assert_eq!(local, Ok(Since::At(moment.parse().unwrap())));
        for wrong in ["", "10", "-10m", "soon", "9999-01-01T00:00:00Z", "1month"] {
            assert!(since(wrong).is_err(), "{wrong}");
        }
        let now: Timestamp = moment.parse().unwrap();
        let begin = Since::Ago(Duration::from_secs(65)).moment(now);
        assert_eq!(begin, "2026-01-02T03:03:00Z".parse().unwrap());
        let ever = Since::Ago(Duration::from_secs(u64::MAX)).moment(now);
        assert_eq!(ever, Timestamp::UNIX_EPOCH);
    }

    #[test]
    fn a_task_is_named_by_its_id_a_part_of_it_or_its_arn() {
        assert_eq!(task("1a2b"), Ok("1a2b".to_owned()));
        let arn = "arn:aws:ecs:us-east-1:123456789012:task/order-api-dev/1a2b3c";
        assert_eq!(task(arn), Ok("1a2b3c".to_owned()));
        for wrong in ["", "order-api", "1a*", "1a/"] {
            assert!(task(wrong).is_err(), "{wrong}");
        }
    }

    fn error(class: Class) -> Error {
        Error::new("logs:FilterLogEvents", class, "no")
    }

    #[test]
    fn a_run_of_failures_is_told_once_survived_and_paced() {
        let (printer, _, stderr) = captured(PrinterOptions::default());
        let mut trouble = Trouble::default();
        let mut longest = Duration::ZERO;
        for _ in 0..40 {
            let pause = trouble.met(error(Class::Unclear), true, &printer).unwrap();
            assert!(pause >= POLL / 2 && pause <= LONGEST_PAUSE, "{pause:?}");
            longest = longest.max(pause);
        }
        assert!(longest > POLL * 2, "it never slows down");
        trouble.is_over(&printer);
        trouble.is_over(&printer);
        trouble
            .met(error(Class::Throttled), true, &printer)
            .unwrap();
        trouble
            .met(error(Class::Throttled), true, &printer)
            .unwrap();
        trouble.is_over(&printer);
        let lines = stderr.lines();
        assert_eq!(lines.len(), 3, "{lines:?}");
        assert!(lines[0].contains("trying again until it works"));
        assert!(lines[1].contains("read again"));
        assert!(lines[2].contains("more slowly"));
    }

    fn answer(id: &str, next: Option<&str>) -> FilterLogEventsOutput {
        let event = FilteredLogEvent::builder()
            .event_id(id)
            .timestamp(60_000)
            .log_stream_name("ecs/order-api/1a2b")
            .message(format!("event {id}"));
        FilterLogEventsOutput::builder()
            .events(event.build())
            .set_next_token(next.map(str::to_owned))
            .build()
    }

    fn limited() -> FilterLogEventsError {
        let code = ErrorMetadata::builder().code("ThrottlingException");
        FilterLogEventsError::generic(code.build())
    }

    fn reader<'a>(aws: &'a Aws, follow: bool, printer: &'a Printer, stop: &'a Stop) -> Reader<'a> {
        Reader {
            aws,
            query: Query::default(),
            follow,
            trouble: Trouble::default(),
            lines: Lines::new(printer.style(), false, false),
            printer,
            stop,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_limit_of_calls_is_waited_out_and_the_same_page_is_asked_for_again() {
        let first = mock!(Client::filter_log_events)
            .match_requests(|r| r.next_token().is_none())
            .then_output(|| answer("1", Some("2")));
        // More refusals in a row than the SDK repeats by itself.
        let second = mock!(Client::filter_log_events)
            .match_requests(|r| r.next_token() == Some("2"))
            .sequence()
            .error(limited)
            .times(7)
            .output(|| answer("2", None))
            .build();
        let aws = mocked(&[&first, &second]);
        let (printer, stdout, stderr) = captured(PrinterOptions::default());
        let stop = Stop::never();
        let mut reader = reader(&aws, false, &printer, &stop);
        let shown = reader.run(Timestamp::UNIX_EPOCH).await.unwrap();
        assert_eq!(shown, 2);
        assert_eq!(stdout.lines(), ["1a2b  event 1", "1a2b  event 2"]);
        assert_eq!(stderr.lines().len(), 1, "{:?}", stderr.lines());
        assert_eq!((first.num_calls(), second.num_calls()), (1, 8));
    }

    #[tokio::test(start_paused = true)]
    async fn a_follower_reads_the_window_again_and_shows_each_event_once() {
        let sweeps = mock!(Client::filter_log_events)
            .match_requests(|r| r.end_time().is_none())
            .sequence()
            .output(|| answer("1", None))
            .output(|| answer("1", None))
            .output(|| answer("2", None))
            .error(|| {
                let code = ErrorMetadata::builder().code("AccessDeniedException");
                FilterLogEventsError::generic(code.build())
            })
            .build();
        let aws = mocked(&[&sweeps]);
        let (printer, stdout, _) = captured(PrinterOptions::default());
        let stop = Stop::never();
        let mut reader = reader(&aws, true, &printer, &stop);
        let ended = reader.run(Timestamp::UNIX_EPOCH).await;
        assert_eq!(
            ended.unwrap_err().exit_code(),
            1,
            "permission was taken away"
        );
        assert_eq!(stdout.lines(), ["1a2b  event 1", "1a2b  event 2"]);
    }

    #[test]
    fn what_does_not_help_is_not_repeated() {
        let (printer, _, _) = captured(PrinterOptions::default());
        let met = |class, follow| Trouble::default().met(error(class), follow, &printer);
        assert!(met(Class::Throttled, false).is_ok());
        for (class, follow) in [
            (Class::Unclear, false),
            (Class::Denied, true),
            (Class::NotFound, true),
        ] {
            assert_eq!(met(class, follow).unwrap_err().exit_code(), 1);
        }
        let pattern = error(Class::Refused).with_code(INVALID);
        assert_eq!(
            refusal(pattern.clone()).exit_code(),
            1,
            "no pattern was given"
        );
        assert_eq!(refusal(pattern.with_advice("write it so")).exit_code(), 2);
    }
}
