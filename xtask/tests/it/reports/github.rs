//! A double of GitHub's API: it answers as configured, and records the requests.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::{Value as Json, json};

/// A body that is shorter than its announced length: the connection ends after it.
pub const CUT_OFF: &str = "[{\"id\":";

/// A recorded request.
#[derive(Debug, Clone)]
pub struct Asked {
    pub method: String,
    pub path: String,
    pub authorization: String,
    pub body: String,
}

/// A server on the loopback that lives as long as the test.
pub struct GitHub {
    pub address: String,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    asked: Vec<Asked>,
    comments: Vec<Json>,
    pulls: Vec<Json>,
    /// Pull requests that take no comments.
    locked: Vec<u64>,
    /// Status and body that replace the next answers, and the number of these.
    failure: Option<(u16, &'static str, usize)>,
}

impl GitHub {
    pub fn start() -> GitHub {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let _ = serve(stream, &shared);
            }
        });
        GitHub { address, state }
    }

    /// Pull request `number` takes no comments.
    pub fn lock(&self, number: u64) {
        self.state.lock().unwrap().locked.push(number);
    }

    /// Adds a pull request whose last commit is `head`.
    pub fn pull(&self, number: u64, head: &str) -> &GitHub {
        let pull =
            json!({"number": number, "head": {"sha": head}, "base": {"sha": "b".repeat(40)}});
        self.state.lock().unwrap().pulls.push(pull);
        self
    }

    /// Adds a comment that exists before the job.
    pub fn comment(&self, kind: &str, body: &str) -> &GitHub {
        let mut state = self.state.lock().unwrap();
        let id = state.comments.len() + 1;
        state
            .comments
            .push(json!({"id": id, "body": body, "user": {"type": kind}}));
        drop(state);
        self
    }

    /// Replaces the next answers.
    pub fn fail(&self, status: u16, body: &'static str, times: usize) {
        self.state.lock().unwrap().failure = Some((status, body, times));
    }

    pub fn asked(&self) -> Vec<Asked> {
        self.state.lock().unwrap().asked.clone()
    }

    /// The texts of all comments.
    pub fn comments(&self) -> Vec<String> {
        let state = self.state.lock().unwrap();
        let bodies = state.comments.iter();
        bodies
            .map(|comment| comment["body"].as_str().unwrap().to_owned())
            .collect()
    }
}

fn serve(mut stream: TcpStream, state: &Mutex<State>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    loop {
        let mut first = String::new();
        if reader.read_line(&mut first)? == 0 {
            return Ok(());
        }
        let (mut length, mut authorization) = (0, String::new());
        loop {
            let mut line = String::new();
            reader.read_line(&mut line)?;
            let (name, value) = line.split_once(':').unwrap_or_default();
            match name.to_ascii_lowercase().as_str() {
                "content-length" => length = value.trim().parse().unwrap(),
                "authorization" => value.trim().clone_into(&mut authorization),
                _ if line == "\r\n" => break,
                _ => {}
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        let mut words = first.split_whitespace();
        let asked = Asked {
            method: words.next().unwrap().to_owned(),
            path: words.next().unwrap().to_owned(),
            authorization,
            body: String::from_utf8(body).unwrap(),
        };
        let (status, answer) = answer(&mut state.lock().unwrap(), &asked);
        state.lock().unwrap().asked.push(asked);
        let cut_off = answer == CUT_OFF;
        write!(
            stream,
            "HTTP/1.1 {status} x\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{answer}",
            answer.len() + usize::from(cut_off)
        )?;
        if cut_off {
            return Ok(());
        }
    }
}

fn answer(state: &mut State, asked: &Asked) -> (u16, String) {
    if let Some((status, body, times)) = state.failure
        && times > 0
    {
        state.failure = Some((status, body, times - 1));
        return (status, body.to_owned());
    }
    let path = asked.path.trim_start_matches("/repos/a/gate/");
    let path = path.split('?').next().unwrap();
    let parts: Vec<&str> = path.split('/').collect();
    let new = || serde_json::from_str::<Json>(&asked.body).unwrap()["body"].clone();
    match (asked.method.as_str(), parts.as_slice()) {
        ("GET", ["issues", _, "comments"]) => (200, json!(state.comments).to_string()),
        ("POST", ["issues", number, "comments"])
            if state.locked.contains(&number.parse().unwrap()) =>
        {
            (403, json!({"message": "issue is locked"}).to_string())
        }
        ("POST", ["issues", _, "comments"]) => {
            let id = state.comments.len() + 1;
            let comment = json!({"id": id, "body": new(), "user": {"type": "Bot"}});
            state.comments.push(comment);
            (201, "{}".to_owned())
        }
        ("PATCH", ["issues", "comments", id]) => {
            let id: u64 = id.parse().unwrap();
            let mut comments = state.comments.iter_mut();
            comments.find(|comment| comment["id"] == id).unwrap()["body"] = new();
            (200, "{}".to_owned())
        }
        ("GET", ["pulls", number]) => {
            let number: u64 = number.parse().unwrap();
            match state.pulls.iter().find(|pull| pull["number"] == number) {
                Some(pull) => (200, pull.to_string()),
                None => (404, json!({"message": "Not Found"}).to_string()),
            }
        }
        ("GET", ["commits", commit, "pulls"]) => {
            let pulls = state.pulls.iter();
            let pulls: Vec<&Json> = pulls
                .filter(|pull| pull["head"]["sha"] == *commit)
                .collect();
            (200, json!(pulls).to_string())
        }
        _ => (404, json!({"message": "Not Found"}).to_string()),
    }
}
