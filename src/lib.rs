pub mod aws;
pub mod kinds;
pub mod resource;
