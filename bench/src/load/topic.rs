//! Makes a topic.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Args;
use futures_executor::block_on;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;

use super::client::{ANSWER_TIMEOUT, Common, Property, partitions};

const RETRY_INTERVAL: Duration = Duration::from_millis(20);

/// Make a topic, and wait until all its partitions have a leader.
#[derive(Args, Clone, Debug)]
pub struct Topic {
    #[command(flatten)]
    common: Common,
    #[arg(short, long)]
    topic: String,
    #[arg(long, default_value_t = 1)]
    partitions: i32,
    /// A setting of the topic; may be repeated
    #[arg(long = "config", value_name = "NAME=VALUE")]
    configs: Vec<Property>,
}

impl Topic {
    pub fn run(&self) -> Result<()> {
        let admin: AdminClient<DefaultClientContext> =
            self.common.config(&[]).create().context("make an admin client")?;
        let mut topic = NewTopic::new(&self.topic, self.partitions, TopicReplication::Fixed(1));
        for config in &self.configs {
            topic = topic.set(&config.name, &config.value);
        }
        let options = AdminOptions::new().operation_timeout(Some(ANSWER_TIMEOUT));
        for answer in block_on(admin.create_topics([&topic], &options)).context("create the topic")? {
            if let Err((topic, code)) = answer {
                bail!("topic {topic} is refused: {code}");
            }
        }
        let deadline = Instant::now() + ANSWER_TIMEOUT;
        while let Err(reason) = partitions(admin.inner(), &self.topic) {
            if Instant::now() > deadline {
                return Err(reason);
            }
            thread::sleep(RETRY_INTERVAL);
        }
        Ok(())
    }
}
