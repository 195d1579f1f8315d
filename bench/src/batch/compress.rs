//! Record sections compressed by Kafka's codecs, and kept where they can be sent again.
