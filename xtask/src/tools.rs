//! One external tool or interface per module: run it, parse its output. Tools know nothing of metrics.

pub mod bencher;
pub mod cargo;
pub mod cgroup;
pub mod criterion;
pub mod docker;
pub mod git;
pub mod github;
pub mod http;
pub mod image;
pub mod k6;
pub mod load;
pub mod nginx;
pub mod process;
pub mod procfs;
pub mod scratch;
pub mod subject;
pub mod unavailable;
pub mod valgrind;
