//! Limits on what clients can make the proxy hold; clients can read the answers that report a limit.

mod abandoned;
mod bodies;
mod connections;
