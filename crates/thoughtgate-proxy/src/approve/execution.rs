//! An approved call of the session era as a task of its own: a client that goes away does not end it. Its
//! result goes to a client that waits, or is kept for the same call, sent again. The call is made once.
//!
//! Decides nothing. The same call, sent again, comes from [`super::joined`].

use std::sync::Arc;

use http::Response;
use thoughtgate_approval::{Claim, chain};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::denial::Denial;
use super::gathered::Gathered;
use super::made::{CROWDED_OUT, LATE, Made, STOPPING};
use super::parked::Collector;
use super::pieces::{Gone, fed};
use super::running::{Answer, Client, Repeated, Run, Ticket};
use crate::body::Body;
use crate::message::{Message, OnRedirect};
use crate::problem::Problem;
use crate::relay::FINISH_MAX;
use crate::state::Snapshot;
use crate::worker::Worker;
use crate::{contained, forward};

const SLOW: &str = "is lost: its client went away, and the call did not end in time";
const LEFT: &str = "is lost: it is too large to be kept, and its client went away";

/// Place of a call that is to be made.
pub enum Entered {
    New(Box<Execution>, Ticket),
    /// An equal call uses the same approval: its result can be waited for.
    Joined(Ticket),
    /// Too many calls run: its client has to stay.
    Full,
}

/// A call that is to be made.
pub struct Execution {
    made: Made,
    run: Run,
    /// A client that arrived just before the result was put on the list of those that wait: it is served first.
    next: Option<Client>,
}

impl Execution {
    /// A place for the call, and the wait of its client.
    pub fn enter(made: &Made) -> Entered {
        let running = &made.worker.shared.running;
        let entered = made.id.clone().and_then(|id| {
            let used = (made.approval, id);
            running.enter((made.key, made.user), &made.agent, used)
        });
        match entered {
            None => Entered::Full,
            Some((None, ticket)) => Entered::Joined(ticket),
            Some((Some(run), ticket)) => {
                let execution = Execution {
                    made: made.clone(),
                    run,
                    next: None,
                };
                Entered::New(Box::new(execution), ticket)
            }
        }
    }

    /// Ends a call that may not be made.
    pub fn refused(self, denial: &Denial) {
        for client in self.run.leave() {
            let _ = client.answer.send(Answer::Denied(Box::new(denial.clone())));
        }
    }

    /// Makes the call.
    pub fn start(mut self, snapshot: Arc<Snapshot>, mut message: Message, claim: Claim) {
        contained::spawn(async move {
            let worker = Arc::clone(&self.made.worker);
            let response = make(&worker, &snapshot, &mut message, claim).await;
            let room = worker.shared.budget.hold();
            let gathered = Gathered::new(response, self.made.id.clone(), room);
            if let Err(why) = self.deliver(gathered).await {
                self.made.lost(why);
            }
            self.end();
        });
    }

    /// Delivers the answer to one client; fails with the reason why none can get it. The upstream's rest is
    /// then read as that of any call of this era whose client has gone.
    async fn deliver(&mut self, mut gathered: Gathered) -> Result<(), &'static str> {
        self.begin(&mut gathered).await?;
        self.run.answered();
        let until = Instant::now() + self.made.kept_for;
        loop {
            let client = match self.waiting(&gathered) {
                Some(client) => client,
                None => self.parked(&mut gathered, until).await?,
            };
            let mut end = Err(Gone);
            let delivery = async { end = gathered.deliver(&client).await };
            fed(&client.pieces, Box::pin(delivery)).await;
            // The stream that answers its client may have taken it over, and lost it.
            if end.is_ok() || self.run.is_lost() {
                return Ok(());
            }
            if !gathered.is_whole() {
                return Err(LEFT);
            }
        }
    }

    /// Waits until there is something to deliver. Some servers send the head of a stream at once, and the
    /// answer much later.
    async fn begin(&self, gathered: &mut Gathered) -> Result<(), &'static str> {
        let mut check = Instant::now() + FINISH_MAX;
        while !gathered.has_begun() {
            tokio::select! {
                () = gathered.read_on() => {}
                () = sleep_until(check) => {
                    if !self.run.is_awaited() {
                        return Err(SLOW);
                    }
                    check += FINISH_MAX;
                }
            }
        }
        Ok(())
    }

    /// A client that waits, if there is one.
    fn waiting(&mut self, gathered: &Gathered) -> Option<Collector> {
        loop {
            let next = self.next.take();
            let client = next.or_else(|| self.run.next())?;
            if let Some(collector) = begin_answer(client, gathered) {
                return Some(collector);
            }
        }
    }

    /// Keeps the result until a client comes for it.
    async fn parked(
        &mut self,
        gathered: &mut Gathered,
        until: Instant,
    ) -> Result<Collector, &'static str> {
        self.made
            .log("is kept until the call is sent again: its client went away");
        let (place, mut collected) = self.made.wait(gathered.head());
        let mut draining = self.made.worker.shared.drain.watch();
        let unsettled = self.made.unsettled();
        loop {
            let ended = tokio::select! {
                biased;
                collector = &mut collected => {
                    unsettled.settled();
                    let collector = collector.map_err(|_| CROWDED_OUT)?;
                    self.made.log("is collected");
                    return Ok(collector);
                }
                // A client that looked for it just before it was here.
                client = self.run.arrival() => {
                    self.next = Some(client);
                    None
                }
                () = sleep_until(until) => Some(LATE),
                _ = draining.wait_for(|draining| *draining) => Some(STOPPING),
                () = gathered.read_on() => continue,
            };
            unsettled.settled();
            if !place.leave() {
                // Taken at this moment, by a call that is about to say so.
                let collector = collected.await.map_err(|_| CROWDED_OUT);
                self.made.log("is collected");
                return collector;
            }
            if let Some(why) = ended {
                return Err(why);
            }
            return match self.waiting(gathered) {
                Some(client) => Ok(client),
                // It has gone already.
                None => Box::pin(self.parked(gathered, until)).await,
            };
        }
    }

    /// Takes the call off the list, and tells the clients that wait in vain.
    fn end(self) {
        for client in self.next.into_iter().chain(self.run.leave()) {
            let _ = client.answer.send(Answer::Elsewhere);
        }
    }
}

/// Makes an approved call. Whatever comes of it, its approval is used.
pub async fn make(
    worker: &Arc<Worker>,
    snapshot: &Snapshot,
    message: &mut Message,
    claim: Claim,
) -> Response<Body> {
    let rules = &snapshot.rules;
    message.on_redirect = OnRedirect::Follow;
    match forward::exchange(worker, rules, message).await {
        Ok(head) => {
            // Done as soon as there is a head: the call was made, whatever becomes of its answer.
            claim.complete(None).await;
            forward::pass_on(worker, rules, head, message)
                .await
                .unwrap_or_else(|failed| forward::failure(worker, message, &failed))
        }
        Err(failed) => {
            // The upstream may have carried the call out, so the approval stays used.
            claim.fail(&chain(&failed));
            forward::failure(worker, message, &failed)
        }
    }
}

/// Answer to a client, and whether it is the upstream's.
pub type Answered = (Response<Body>, bool);

/// Waits for the result of the call until `until`; `None` is any time, for a client that is kept waiting.
pub async fn answered(made: &Made, mut ticket: Ticket, until: Option<Instant>) -> Answered {
    let late = async {
        match until {
            Some(until) => tokio::time::sleep_until(until).await,
            None => std::future::pending().await,
        }
    };
    let problem = tokio::select! {
        biased;
        answer = &mut ticket.answer => match answer {
            Ok(Answer::Result(head, pieces)) => return (head.map(|()| Body::fed(pieces)), true),
            Ok(Answer::Elsewhere) => Problem::Repeated(Repeated::Collected(made.approval)),
            Ok(Answer::Denied(denial)) => {
                return (made.response(&Problem::Denied(made.approval, &denial)), false);
            }
            // The client that was to make the call has left before, or a bug has ended its task.
            Err(_) => Problem::Repeated(Repeated::Running(made.approval)),
        },
        () = late => Problem::Repeated(Repeated::Running(made.approval)),
    };
    (made.response(&problem), false)
}

/// Begins the answer to a client; `None` if that has gone.
fn begin_answer(client: Client, gathered: &Gathered) -> Option<Collector> {
    let (pieces, received) = mpsc::channel(1);
    let answer = Answer::Result(gathered.head(), received);
    client.answer.send(answer).ok()?;
    Some(Collector {
        id: client.id,
        pieces,
    })
}
