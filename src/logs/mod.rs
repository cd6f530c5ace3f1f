//! What the containers write, read from CloudWatch Logs page by page, once or again and again.

mod window;

use aws_sdk_cloudwatchlogs::types::FilteredLogEvent;
use jiff::Timestamp;

pub use window::Window;

use crate::aws::{Answer, Aws};
use crate::resource::{Error, Result};

/// Which events to read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// The log group.
    pub group: String,
    /// What the names of the streams begin with; every stream if none.
    pub stream_prefix: Option<String>,
    /// A filter pattern in CloudWatch's own language; every event if none.
    pub filter: Option<String>,
}

/// Something that a container wrote: one line, or several that were written as one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// CloudWatch's id, the same whenever the event is read.
    pub id: String,
    /// When it was written.
    pub at: Timestamp,
    /// The stream, `ecs/order-api/<task id>`.
    pub stream: String,
    /// What was written.
    pub message: String,
}

impl Event {
    /// The id of the task that wrote it; the stream's whole name if that names no task.
    pub fn task(&self) -> &str {
        self.stream.rsplit('/').next().unwrap_or(&self.stream)
    }
}

/// The events of one answer, and how to ask for those after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The events; none at all is usual, even when there are more.
    pub events: Vec<Event>,
    /// What asks for the next page; there is none after the last.
    pub next: Option<String>,
}

/// CloudWatch's word for a request it cannot work with, a wrong filter pattern among them.
pub const INVALID: &str = "InvalidParameterException";

/// Reads a page of the events between two moments, both included (`logs:FilterLogEvents`).
///
/// # Errors
/// AWS's; one with the code [`INVALID`] is about the filter pattern, if there is one.
pub async fn page(
    aws: &Aws,
    query: &Query,
    from: Timestamp,
    to: Option<Timestamp>,
    token: Option<&str>,
) -> Result<Page> {
    let answer = aws
        .logs
        .filter_log_events()
        .log_group_name(&query.group)
        .set_log_stream_name_prefix(query.stream_prefix.clone())
        .set_filter_pattern(query.filter.clone())
        .start_time(from.as_millisecond().max(0))
        .set_end_time(to.map(|to| to.as_millisecond()))
        .set_next_token(token.map(str::to_owned))
        .send()
        .await
        .of("logs:FilterLogEvents")
        .map_err(|error| advised(error, query))?;
    Ok(Page {
        next: answer.next_token.filter(|token| !token.is_empty()),
        events: answer
            .events
            .unwrap_or_default()
            .into_iter()
            .filter_map(event)
            .collect(),
    })
}

fn advised(error: Error, query: &Query) -> Error {
    if error.is(&["ResourceNotFoundException"]) {
        return error.with_advice(format!(
            "there is no log group {}; `orderctl up` makes it",
            query.group
        ));
    }
    if error.is(&[INVALID]) && query.filter.is_some() {
        return error.with_advice(
            "a filter pattern is words (`timeout order`), a phrase (`'\"not able\"'`), alternatives (`?warn ?error`) or \
             fields of JSON (`'{ $.level = \"error\" }'`)",
        );
    }
    error
}

/// CloudWatch gives every event an id and a time; one without could neither be told apart nor shown.
fn event(event: FilteredLogEvent) -> Option<Event> {
    Some(Event {
        id: event.event_id?,
        at: Timestamp::from_millisecond(event.timestamp?).ok()?,
        stream: event.log_stream_name.unwrap_or_default(),
        message: event.message.unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use aws_sdk_cloudwatchlogs::Client;
    use aws_sdk_cloudwatchlogs::operation::filter_log_events::{
        FilterLogEventsError, FilterLogEventsOutput,
    };
    use aws_smithy_mocks::mock;
    use aws_smithy_types::error::ErrorMetadata;

    use super::*;
    use crate::aws::testing::mocked;

    fn query() -> Query {
        Query {
            group: "/ecs/order-api-dev".to_owned(),
            stream_prefix: Some("ecs/order-api/1a2b".to_owned()),
            filter: Some("?warn ?error".to_owned()),
        }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[tokio::test]
    async fn an_empty_page_is_not_the_last_one_and_everything_asked_for_is_passed_on() {
        let empty = mock!(Client::filter_log_events)
            .match_requests(|r| {
                r.next_token().is_none()
                    && r.log_group_name() == Some("/ecs/order-api-dev")
                    && r.log_stream_name_prefix() == Some("ecs/order-api/1a2b")
                    && r.filter_pattern() == Some("?warn ?error")
                    && (r.start_time(), r.end_time()) == (Some(60_000), Some(90_000))
            })
            .then_output(|| FilterLogEventsOutput::builder().next_token("2").build());
        let last = mock!(Client::filter_log_events)
            .match_requests(|r| r.next_token() == Some("2"))
            .then_output(|| {
                let event = FilteredLogEvent::builder()
                    .event_id("7")
                    .timestamp(61_500)
                    .log_stream_name("ecs/order-api/1a2b3c")
                    .message("error\n  at main");
                FilterLogEventsOutput::builder()
                    .events(event.build())
                    .events(FilteredLogEvent::builder().message("no id").build())
                    .build()
            });
        let aws = mocked(&[&empty, &last]);
        let first = page(&aws, &query(), at(60), Some(at(90)), None)
            .await
            .unwrap();
        assert_eq!((first.events.len(), first.next.as_deref()), (0, Some("2")));
        let second = page(&aws, &query(), at(60), Some(at(90)), Some("2")).await;
        let second = second.unwrap();
        assert_eq!(second.next, None);
        assert_eq!(second.events.len(), 1);
        assert_eq!(second.events[0].task(), "1a2b3c");
        assert_eq!(
            second.events[0].at,
            Timestamp::from_millisecond(61_500).unwrap()
        );
    }

    #[tokio::test(start_paused = true)]
    async fn reading_logs_is_a_read_and_repeated_by_the_sdk() {
        let failing = mock!(Client::filter_log_events)
            .sequence()
            .http_status(503, None)
            .output(|| FilterLogEventsOutput::builder().build())
            .build();
        let aws = mocked(&[&failing]);
        assert!(page(&aws, &query(), at(0), None, None).await.is_ok());
        assert_eq!((aws.calls().reads(), aws.calls().writes()), (2, 0));
    }

    #[tokio::test]
    async fn a_missing_group_and_a_wrong_pattern_say_what_to_do() {
        for (code, advice) in [
            ("ResourceNotFoundException", "orderctl up"),
            (INVALID, "filter pattern"),
        ] {
            let refused = mock!(Client::filter_log_events).then_error(move || {
                let code = ErrorMetadata::builder().code(code);
                FilterLogEventsError::generic(code.build())
            });
            let answer = page(&mocked(&[&refused]), &query(), at(0), None, None).await;
            let error = answer.unwrap_err();
            assert!(error.is(&[code]));
            assert!(error.advice().unwrap().contains(advice), "{error}");
        }
    }
}
