"""What computes the stages that read whole tables: on this machine, or over many."""
