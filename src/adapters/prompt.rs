use async_trait::async_trait;

use super::ServiceError;
use crate::event::Question;
use crate::plan::approval::Answer;

#[async_trait]
pub trait Prompt: Send + Sync {
    fn can_ask(&self) -> bool;
    async fn ask(&self, question: &Question) -> Result<Option<Answer>, ServiceError>;
    async fn choose(&self, text: &str, options: &[&str]) -> Result<Option<usize>, ServiceError>;
}
