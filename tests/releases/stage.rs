//! A stack in a local AWS where a minute passes in a second, images to release onto it, and users who
//! go on sending requests.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use serde_json::{Value, json};

use crate::driver::{Outcome, Running, Sandbox, Workplace, http};

const NAME: &str = "order-api-dev";

pub(crate) struct Stage {
    pub(crate) sandbox: Sandbox,
    pub(crate) place: Workplace,
    /// The name of the load balancer in the DNS.
    host: String,
}

impl Stage {
    /// A stack whose service is parked.
    pub(crate) fn parked() -> Self {
        let sandbox = Sandbox::start_at(60, "--control");
        let place = Workplace::on(&sandbox);
        place.write("orderctl.toml", "[deploy]\nbake_minutes = 1\n");
        let mut stage = Self {
            sandbox,
            place,
            host: String::new(),
        };
        stage.run("up --yes").ends_with(0);
        let host = stage.run("outputs albDnsName").ends_with(0);
        stage.host = host.stdout.trim().to_owned();
        stage
    }

    /// A stack that runs version `v1`.
    pub(crate) fn running() -> Self {
        let stage = Self::parked();
        stage.push("v1");
        stage.run("deploy v1 --yes --bake 0").ends_with(0);
        stage
    }

    fn line(line: &str) -> String {
        format!("{line} --suffix dev --sandbox")
    }

    /// Runs the program on the stack.
    pub(crate) fn run(&self, line: &str) -> Outcome {
        self.place.run(&Self::line(line))
    }

    /// Starts the program on the stack.
    pub(crate) fn start(&self, line: &str) -> Running {
        let line = Self::line(line);
        Running::start(&line, self.place.command(&line))
    }

    /// Puts an image into the repository, and gives its digest. How it behaves, its tag says.
    pub(crate) fn push(&self, tag: &str) -> String {
        let kind = "application/vnd.docker.distribution.manifest.v2+json";
        let config = json!({
            "mediaType": "application/vnd.docker.container.image.v1+json",
            "size": 2,
            "digest": format!("sha256:{:0>64}", hex(tag)),
        });
        let manifest =
            json!({ "schemaVersion": 2, "mediaType": kind, "config": config, "layers": [] });
        let request = json!({
            "repositoryName": NAME,
            "imageTag": tag,
            "imageManifest": manifest.to_string(),
        });
        let target = "AmazonEC2ContainerRegistry_V20150921.PutImage";
        let answer = self.sandbox.call("ecr", target, &request);
        answer["image"]["imageId"]["imageDigest"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    fn clock(&self, order: &Value) {
        let path = "/orderctl/sandbox/control/clock";
        http::post_to(self.sandbox.endpoint(), path, &order.to_string());
    }

    /// Stops the time of the local AWS for good: from here on it passes as the test says.
    pub(crate) fn stand_still(&self) {
        self.clock(&json!({ "freeze": true }));
    }

    /// Runs the program while time passes, second by second.
    pub(crate) fn run_as_time_passes(&self, line: &str) -> Outcome {
        let mut running = self.start(line);
        while !running.has_ended() {
            self.clock(&json!({ "advance": 1 }));
        }
        running.finish()
    }

    /// Lets time pass, second by second, until the deployment under way has come to a stage.
    pub(crate) fn halt_at(&self, name: &str) {
        for _ in 0..1000 {
            if self.newest()["lifecycleStage"] == name {
                return;
            }
            self.clock(&json!({ "advance": 1 }));
        }
        panic!("the deployment never comes to {name}: {}", self.newest());
    }

    /// The newest deployment of the service.
    fn newest(&self) -> Value {
        let arn = &self.service()["currentServiceDeployment"];
        let request = json!({ "serviceDeploymentArns": [arn] });
        let target = "AmazonEC2ContainerServiceV20141113.DescribeServiceDeployments";
        self.sandbox.call("ecs", target, &request)["serviceDeployments"][0].clone()
    }

    /// The service as AWS shows it.
    pub(crate) fn service(&self) -> Value {
        let request = json!({ "cluster": NAME, "services": [NAME] });
        let target = "AmazonEC2ContainerServiceV20141113.DescribeServices";
        self.sandbox.call("ecs", target, &request)["services"][0].clone()
    }

    /// How many deployments the service has had.
    pub(crate) fn deployments(&self) -> usize {
        let request = json!({ "cluster": NAME, "service": NAME });
        let target = "AmazonEC2ContainerServiceV20141113.ListServiceDeployments";
        let answer = self.sandbox.call("ecs", target, &request);
        answer["serviceDeployments"].as_array().unwrap().len()
    }

    pub(crate) fn ring(&self, state: &str) {
        let body = format!(
            "Action=SetAlarmState&Version=2010-08-01&AlarmName=order-api-high-errors-dev&StateValue={state}&StateReason=test"
        );
        self.sandbox.query("monitoring", &body);
    }

    /// What a user's request is answered: the status, and the digest of the image that answered.
    pub(crate) fn ask(&self, path: &str) -> (u16, String) {
        ask(self.sandbox.endpoint(), &self.host, path)
    }

    /// Sends requests until it is told to stop.
    pub(crate) fn users(&self) -> Users {
        let endpoint = self.sandbox.endpoint().to_owned();
        let host = self.host.clone();
        let (stop, stopped) = channel();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let answers = Arc::clone(&seen);
        let pause = Duration::from_millis(20);
        let thread = thread::spawn(move || {
            loop {
                answers
                    .lock()
                    .unwrap()
                    .push(ask(&endpoint, &host, "/orders"));
                if stopped.recv_timeout(pause) != Err(RecvTimeoutError::Timeout) {
                    break;
                }
            }
        });
        Users {
            stop: Some(stop),
            seen,
            thread: Some(thread),
        }
    }
}

fn hex(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}

fn ask(endpoint: &str, host: &str, path: &str) -> (u16, String) {
    let address = endpoint.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    write!(
        stream,
        "GET {path} HTTP/1.0\r\nHost: {host}\r\nX-Forwarded-Port: 443\r\n\r\n"
    )
    .unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let status = text.split(' ').nth(1).unwrap().parse().unwrap();
    let body = text.split("\r\n\r\n").nth(1).unwrap_or_default();
    let answer: Value = serde_json::from_str(body).unwrap_or_default();
    (
        status,
        answer["image"].as_str().unwrap_or_default().to_owned(),
    )
}

/// Users whose requests go on in the background.
pub(crate) struct Users {
    /// Dropped with the users, which ends them.
    stop: Option<Sender<()>>,
    seen: Arc<Mutex<Vec<(u16, String)>>>,
    thread: Option<JoinHandle<()>>,
}

impl Users {
    /// Asserts that every request so far was answered well, and by one of these images; gives how
    /// many each has answered.
    #[track_caller]
    pub(crate) fn were_served_by(mut self, images: &[&str]) -> Vec<usize> {
        self.stop.take();
        self.thread.take().unwrap().join().unwrap();
        let seen = self.seen.lock().unwrap();
        assert!(!seen.is_empty());
        let wrong =
            |answer: &&(u16, String)| answer.0 != 200 || !images.contains(&answer.1.as_str());
        assert_eq!(seen.iter().find(wrong), None);
        let count = |image: &&str| seen.iter().filter(|answer| answer.1 == **image).count();
        images.iter().map(count).collect()
    }
}
