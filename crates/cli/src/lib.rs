//! kubectl-upgrader: why a Cluster was not upgraded yet, and what would happen.
