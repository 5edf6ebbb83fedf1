//! Integration tests: the real binary in front of an upstream double, over real sockets.

mod approvals;
mod audit;
mod authors;
mod browsers;
mod changes;
mod clients;
mod conformance;
mod cookbook;
mod decisions;
mod first_call;
mod half_closed;
mod lifecycle;
mod limits;
mod lists;
mod markdown;
mod refusals;
mod reload;
mod secrets;
mod slack_document;
mod snippets;
mod startup;
mod streaming;
mod support;
mod tls;
mod told;
mod upstream;
