//! Limits on what clients can make the proxy hold, and that the answers which say so can be read.

mod abandoned;
mod bodies;
mod connections;
