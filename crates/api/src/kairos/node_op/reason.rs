domain::reasons! {
    /// Why a node, and with it the operation, is not done. The operation shows the reason of the node that most needs
    /// attention, or one of its own.
    pub enum Reason {
        /// spec.nodeSelector is not a label selector
        InvalidSelector: human,
        /// The status that was written before cannot be read, so that nobody knows what has run: no node is started
        StatusUnreadable: human,
        /// No node is selected yet: the operation ends when that lasts
        AwaitingNodes: waits,
        /// The NodeOp is being deleted, and what it has made on nodes is being undone
        Deleting: works,
        /// The operation has failed on a node
        NodeFailed: human,
        /// The operation has failed on a node, and spec.stopOnFailure keeps it from starting on another
        StoppedAfterFailure: human,
        /// The node may start
        Starting: works,
        /// As many nodes are at work as spec.concurrency lets
        MaxConcurrentReached: waits,
        /// Control-plane nodes come first
        ControlPlaneFirst: waits,
        /// Another control-plane node is at work or not ready, and they go one at a time
        ControlPlaneBusy: waits,
        /// Nodes that are not available take the places that there are
        NodesUnavailable: waits,
        /// Another operation is at work on the node
        OtherOperation: waits,
        /// Another owner claims the cordon of the node, and the node is schedulable
        CordonContested: waits,
        /// The node is not ready
        NodeNotReady: waits,
        /// The node does not exist any more, and nothing is awaited of it
        NodeGone: waits,
        /// Another object has the name of one that the operation needs
        NameTaken: waits,
        /// The namespace does not admit privileged pods, or a quota or policy refuses them
        PodsRefused: human,
        /// The API server refuses a pod or the Job as invalid: see the message for the field
        PodsInvalid: human,
        /// A pod of the operation does not start, for example because its image cannot be pulled: see the message
        PodNotStarting: fails,
        /// The preflight pod runs, or is about to
        PreflightRunning: works,
        /// The preflight has failed; the node was not touched
        PreflightFailed: human,
        /// The reboot pod is not ready yet, and the Job is made after that
        RebootPodStarting: works,
        /// The reboot pod has failed before it was asked to reboot the node
        RebootPodFailed: human,
        /// Pods of the node are being evicted
        Draining: works,
        /// Evicted pods have not left the node yet
        PodsTerminating: works,
        /// A disruption budget lets a pod not go now: see the message for both
        DrainBlocked: waits,
        /// A disruption budget lets a pod never go: see the message for both
        BudgetNeverMet: human,
        /// The node has a pod that spec.drainOptions does not let go
        DrainRefused: human,
        /// The node was not drained in time
        DrainTimedOut: human,
        /// The Job runs, or is about to
        JobRunning: works,
        /// The Job has failed
        JobFailed: human,
        /// The Job is gone, and whether its command was run to its end is not known
        JobGone: human,
        /// The node tells no boot ID, so that its reboot could not be proven
        BootIdUnknown: waits,
        /// The node reboots: its boot ID has not changed yet
        Rebooting: works,
        /// The node did not reboot in time
        RebootTimedOut: human,
        /// The node has rebooted, and was not ready in time
        NotReadyAfterReboot: human,
        /// What the operation has made on the node is being undone
        Undoing: works,
        /// The operation has failed on the node, by an earlier status that does not say why
        FailedBefore: human,
    }
}
