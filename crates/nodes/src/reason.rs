//! Why a node is not done: the closed set that every dialect shares.

domain::reasons! {
    /// Why a node is not started, not done, or failed.
    pub enum Reason {
        /// Nothing is wanted of the node
        NotWanted: waits,
        /// The node came after the operation had fixed its targets
        NotATarget: waits,
        /// The operation is on the node already
        AlreadyStarted: works,
        /// The operation has ended on the node
        AlreadyEnded: waits,
        /// The node may start
        Starting: works,
        /// A switch or a window of the dialect is closed
        GateClosed: waits,
        /// Another operation is on the node
        OtherOperation: waits,
        /// As many nodes as may be are in operation
        ConcurrencyReached: waits,
        /// Nodes that are not available take the places that there are
        NodesUnavailable: waits,
        /// Another control-plane node is in operation, or not Ready
        ControlPlaneBusy: waits,
        /// Control-plane nodes come first
        ControlPlaneFirst: waits,
        /// A node has failed, and the operation stops on a failure
        StoppedOnFailure: human,
        /// More nodes have failed than may
        FailureBudgetSpent: human,

        /// The preflight check runs
        PreflightRunning: works,
        /// A pod of the operation does not start
        PodNotStarting: fails,
        /// The pod that will reboot the node is not ready yet
        RebootPodStarting: works,
        /// Another owner claims the cordon of the node, and the node is schedulable
        CordonContested: waits,
        /// Pods are being asked to leave the node
        Draining: works,
        /// A pod must not be removed, by the options of the drain
        DrainRefused: human,
        /// A PodDisruptionBudget can never allow a pod to be evicted
        BudgetNeverMet: human,
        /// A PodDisruptionBudget does not allow a pod to be evicted now
        BudgetBlocks: waits,
        /// Evicted pods have not left yet
        PodsTerminating: works,
        /// The command runs on the node
        WorkRunning: works,
        /// The node reports no bootID, so that its reboot could not be proven
        BootIdUnknown: waits,
        /// The node reboots
        Rebooting: works,
        /// The node is not Ready
        NodeNotReady: waits,
        /// The node is back, and is left alone for a while before the next one starts
        CoolingDown: waits,
        /// What the operation has made on the node is being undone
        Undoing: works,

        /// The preflight check failed
        PreflightFailed: human,
        /// The node could not be drained in time
        DrainTimedOut: human,
        /// The command failed
        WorkFailed: human,
        /// The Job of the command was deleted before it had ended
        WorkLost: human,
        /// The pod that was to reboot the node failed before it was asked to
        RebootPodFailed: human,
        /// The node did not reboot in time
        RebootTimedOut: human,
        /// The node rebooted, and did not become Ready in time
        NotReadyAfterReboot: human,
        /// It failed, by an earlier record that says no more
        FailedBefore: human,
    }
}
