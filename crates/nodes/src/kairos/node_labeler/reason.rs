domain::reasons! {
    /// Why nothing is known yet of a node. On no object: Nodes are not ours, so that these are words of logs and metrics.
    pub enum Reason {
        /// The DaemonSet of the labeler is being made what it should be
        DaemonSetChanging: works,
        /// The Job that finds out what the node runs is being made
        CreatingJob: works,
        /// The Job that finds out what the node runs is at work
        JobRunning: works,
        /// The Job is being deleted, so that another can be made
        JobDeleting: works,
        /// The Job has failed, and another is made after a pause
        JobFailed: fails,
        /// As many nodes are looked at as may be at a time
        OtherNodesFirst: waits,
        /// The node is not ready
        NodeNotReady: waits,
    }
}
