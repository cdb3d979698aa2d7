//! The workload's certificate: obtained with its token, renewed before it ends.
