domain::reasons! {
    /// Why a node, and with it the operation, is not done. The operation shows the reason of the node that most needs
    /// attention, or one of its own.
    pub enum Reason {
        /// spec.nodeSelector is not a label selector
        InvalidSelector: human,
        /// The status that was written before cannot be read, so that nobody knows what has run: no node is started
        StatusUnreadable: human,
        /// The NodeOp is being deleted, and the nodes that it cordoned are being uncordoned
        Deleting: works,
        /// The operation has failed on a node
        NodeFailed: human,
        /// The operation has failed on a node, and spec.stopOnFailure keeps it from starting on another
        StoppedAfterFailure: human,
        /// As many nodes are at work as spec.concurrency lets
        MaxConcurrentReached: waits,
        /// Another control-plane node is at work, and they go one at a time
        ControlPlaneBusy: waits,
        /// Nodes that are not ready, or cordoned by others, count as at work, and leave no room for another
        NodesUnavailable: waits,
        /// Another operation is at work on the node
        NodeBusy: waits,
        /// The node is not ready
        NodeNotReady: waits,
        /// The node is being deleted
        NodeDeleting: waits,
        /// The node does not exist any more, and nothing is awaited of it
        NodeGone: waits,
        /// Another object has the name of one that the operation needs
        NameTaken: waits,
        /// The namespace does not admit privileged pods, or a quota or policy refuses them
        PodsRefused: human,
        /// The API server refuses a pod or the Job as invalid: see the message for the field
        PodsInvalid: human,
        /// An image cannot be pulled on the node: see the message for the words of the kubelet
        ImageNotPulled: waits,
        /// The preflight pod runs, or is about to
        PreflightRunning: works,
        /// The preflight has failed; the node was not touched
        PreflightFailed: human,
        /// Pods of the node are evicted, and waited for
        Draining: works,
        /// A disruption budget lets no pod go for now: see the message for both
        DrainBlocked: waits,
        /// A disruption budget lets no pod go ever, or two select the same pod: nothing was evicted
        DrainImpossible: human,
        /// The node has a pod that spec.drainOptions does not let go: nothing was evicted
        DrainRefused: human,
        /// The node was not drained in time
        DrainTimedOut: human,
        /// The reboot pod is not ready yet, and the Job is made after that
        RebootPodPending: works,
        /// The Job is made, and its pod does not run yet
        JobPending: works,
        /// The Job runs
        JobRunning: works,
        /// The Job has failed
        JobFailed: human,
        /// The Job is gone, and whether its command was run is not known
        JobGone: human,
        /// The node reboots: its boot ID has not changed yet
        Rebooting: works,
        /// The node has not come back from its reboot in time, or did not reboot
        RebootTimedOut: human,
    }
}
