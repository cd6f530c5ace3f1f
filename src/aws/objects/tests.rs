//! What is sent to S3, and what is made of its answers.

use aws_sdk_s3::operation::delete_object::DeleteObjectOutput;
use aws_sdk_s3::operation::list_objects_v2::ListObjectsV2Output;
use aws_sdk_s3::operation::put_object::PutObjectOutput;
use aws_smithy_mocks::{Rule, RuleMode, mock};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_types::body::SdkBody;

use super::*;
use crate::aws::testing::{answering, offline};

fn bucket(rules: &[&Rule]) -> Bucket {
    let rules = answering(RuleMode::MatchAny, rules);
    Bucket::build(
        offline(),
        false,
        Some(rules),
        "states".into(),
        "order/".into(),
    )
}

fn answer(status: u16, headers: &'static [(&str, &str)], body: &str) -> HttpResponse {
    let mut response = HttpResponse::new(status.try_into().unwrap(), SdkBody::from(body));
    for (name, value) in headers {
        response.headers_mut().insert(*name, *value);
    }
    response
}

fn refusal(status: u16, code: &str) -> HttpResponse {
    let body = format!("<Error><Code>{code}</Code><Message>no</Message></Error>");
    answer(status, &[], &body)
}

/// How S3's answer to a write is sorted, and how often it was sent.
async fn written(status: u16, code: &'static str) -> (ObjectError, usize) {
    let put = mock!(Client::put_object).then_http_response(move || refusal(status, code));
    let error = bucket(&[&put])
        .put("dev.json", Vec::new(), &Expect::Absent)
        .await;
    (error.unwrap_err(), put.num_calls())
}

#[tokio::test(start_paused = true)]
async fn an_object_comes_with_its_etag_and_two_times_of_s3s_clock() {
    let get = mock!(Client::get_object)
        .match_requests(|sent| {
            sent.bucket() == Some("states") && sent.key() == Some("order/dev.json")
        })
        .then_http_response(|| {
            let headers = &[
                ("etag", "\"abc\""),
                ("last-modified", "Wed, 25 Nov 2026 21:53:15 GMT"),
                ("date", "Wed, 25 Nov 2026 21:54:20 GMT"),
            ];
            answer(200, headers, "{}")
        });
    let found = bucket(&[&get]).get("dev.json").await.unwrap().unwrap();
    assert_eq!(
        (found.body.as_slice(), found.etag.as_str()),
        (&b"{}"[..], "\"abc\"")
    );
    assert_eq!(found.modified.to_string(), "2026-11-25T21:53:15Z");
    assert_eq!(found.now.to_string(), "2026-11-25T21:54:20Z");
}

#[tokio::test(start_paused = true)]
async fn without_s3s_time_an_object_cannot_be_judged() {
    let get = mock!(Client::get_object).then_http_response(|| {
        answer(
            200,
            &[
                ("etag", "x"),
                ("last-modified", "Wed, 25 Nov 2026 21:53:15 GMT"),
            ],
            "{}",
        )
    });
    let error = bucket(&[&get]).get("dev.lock").await.unwrap_err();
    assert!(matches!(&error, ObjectError::Unclear(error) if error.message().contains("`Date`")));
}

#[tokio::test(start_paused = true)]
async fn what_is_not_there_is_none_and_a_bucket_that_is_not_there_is_an_error() {
    let get = mock!(Client::get_object).then_http_response(|| refusal(404, "NoSuchKey"));
    assert_eq!(bucket(&[&get]).get("dev.json").await.unwrap(), None);
    let get = mock!(Client::get_object).then_http_response(|| refusal(404, "NoSuchBucket"));
    let ObjectError::Refused(error) = bucket(&[&get]).get("dev.json").await.unwrap_err() else {
        panic!("a missing bucket stays missing");
    };
    let advice = error.advice().unwrap();
    assert!(
        advice.contains("--state") && advice.contains("never makes `states`"),
        "{advice}"
    );
}

#[tokio::test(start_paused = true)]
async fn writes_and_deletes_say_what_they_expect_and_leave_the_rest_to_the_bucket() {
    let first = mock!(Client::put_object)
        .match_requests(|sent| {
            sent.key() == Some("order/dev.json")
                && (sent.if_none_match(), sent.if_match()) == (Some("*"), None)
                && sent.content_type() == Some("application/json")
                && sent.server_side_encryption().is_none()
                && sent.acl().is_none()
        })
        .then_output(|| PutObjectOutput::builder().e_tag("one").build());
    let second = mock!(Client::put_object)
        .match_requests(|sent| (sent.if_none_match(), sent.if_match()) == (None, Some("one")))
        .then_output(|| PutObjectOutput::builder().e_tag("two").build());
    let delete = mock!(Client::delete_object)
        .match_requests(|sent| {
            sent.key() == Some("order/dev.json") && sent.if_match() == Some("two")
        })
        .then_output(|| DeleteObjectOutput::builder().build());
    let bucket = bucket(&[&first, &second, &delete]);
    let one = bucket
        .put("dev.json", b"{}".to_vec(), &Expect::Absent)
        .await
        .unwrap();
    let two = bucket
        .put("dev.json", b"{}".to_vec(), &Expect::Is(one))
        .await
        .unwrap();
    bucket.delete("dev.json", &two).await.unwrap();
    assert_eq!([&first, &second, &delete].map(Rule::num_calls), [1, 1, 1]);
}

#[tokio::test(start_paused = true)]
async fn refusals_are_sorted_by_what_was_done_and_no_write_is_sent_twice() {
    for (status, code) in [(412, "PreconditionFailed"), (404, "NoSuchKey")] {
        let (error, sent) = written(status, code).await;
        assert!(
            matches!(error, ObjectError::Changed) && sent == 1,
            "{code}: {error:?}"
        );
    }
    for (status, code) in [
        (409, "ConditionalRequestConflict"),
        (409, "OperationAborted"),
        (503, "SlowDown"),
    ] {
        let (error, sent) = written(status, code).await;
        assert!(
            matches!(error, ObjectError::Busy(_)) && sent == 1,
            "{code}: {error:?}"
        );
    }
    for (status, code) in [
        (500, "InternalError"),
        (503, "ServiceUnavailable"),
        (400, "RequestTimeout"),
    ] {
        let (error, sent) = written(status, code).await;
        assert!(
            matches!(error, ObjectError::Unclear(_)) && sent == 1,
            "{code}: {error:?}"
        );
    }
    for (status, code, advice) in [
        (403, "AccessDenied", "s3:ListBucket on states"),
        (501, "NotImplemented", "conditional writes"),
        (301, "PermanentRedirect", "head-bucket"),
        (404, "NoSuchBucket", "never makes"),
    ] {
        let (error, sent) = written(status, code).await;
        let told = matches!(&error, ObjectError::Refused(error) if error.advice().is_some_and(|told| told.contains(advice)));
        assert!(told && sent == 1, "{code}: {error:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_bucket_in_another_region_is_followed_there() {
    let by_header = || answer(301, &[("x-amz-bucket-region", "eu-central-1")], "");
    let by_body = || {
        let body = "<Error><Code>AuthorizationHeaderMalformed</Code><Message>the region is wrong</Message>\
                    <Region>eu-central-1</Region></Error>";
        answer(400, &[], body)
    };
    for (case, redirect) in [by_header as fn() -> HttpResponse, by_body]
        .into_iter()
        .enumerate()
    {
        let put = mock!(Client::put_object)
            .sequence()
            .http_response(redirect)
            .output(|| PutObjectOutput::builder().e_tag("one").build())
            .build();
        let bucket = bucket(&[&put]);
        bucket
            .put("dev.json", Vec::new(), &Expect::Absent)
            .await
            .unwrap();
        assert_eq!(
            (put.num_calls(), bucket.current().1.as_str()),
            (2, "eu-central-1"),
            "case {case}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn all_pages_of_the_keys_below_the_prefix_are_read() {
    let page = |keys: &[&str], next: Option<&str>| {
        let objects = keys
            .iter()
            .map(|key| aws_sdk_s3::types::Object::builder().key(*key).build());
        ListObjectsV2Output::builder()
            .set_contents(Some(objects.collect()))
            .set_next_continuation_token(next.map(str::to_owned))
            .build()
    };
    let first = mock!(Client::list_objects_v2)
        .match_requests(|sent| {
            (sent.prefix(), sent.delimiter()) == (Some("order/"), Some("/"))
                && sent.continuation_token().is_none()
        })
        .then_output(move || page(&["order/dev.json", "order/dev.lock"], Some("more")));
    let second = mock!(Client::list_objects_v2)
        .match_requests(|sent| sent.continuation_token() == Some("more"))
        .then_output(move || page(&["order/prod.json"], None));
    let keys = bucket(&[&first, &second]).list().await.unwrap();
    assert_eq!(keys, ["dev.json", "dev.lock", "prod.json"]);
}
