//! `weft up`: the mesh on this machine, from a folder of manifests.
//!
//! | module | its part |
//! |---|---|
//! | [`manifests`], [`workload`], [`services`], [`words`] | what the folder says |
//! | [`plan`], [`rollout`] | what should run against what runs |
//! | [`ports`], [`variables`], [`sidecar`] | what each process is given |
//! | [`process`], [`logs`], [`backoff`], [`probes`] | one process, followed |
//! | [`instance`], [`controller`] | processes kept alive |
//! | [`supervisor`] | the loop that owns all state |
//! | [`state`], [`run_folder`], [`watch`] | what others see of it, and what it sees |

pub mod backoff;
pub mod controller;
pub mod instance;
pub mod logs;
pub mod manifests;
pub mod plan;
pub mod ports;
pub mod probes;
pub mod process;
pub mod rollout;
pub mod run_folder;
pub mod services;
pub mod sidecar;
pub mod state;
pub mod supervisor;
pub mod variables;
pub mod watch;
pub mod words;
pub mod workload;
