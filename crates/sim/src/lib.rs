//! A simulated cluster: API server, Cluster API, Jobs and a package repository, on a simulated clock.
