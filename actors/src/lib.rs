//! The actors of Thicket, in the order that data flows: ingress, queue, shard, detector, writer, checkpointer
