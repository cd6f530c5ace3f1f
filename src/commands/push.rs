//! `orderctl push`: brings an image into the stack's repository.

use std::process::ExitCode;

use clap::Args;

use super::session::{DONE, Local, Session};
use super::{CommandError, confirm, interrupt};
use crate::cli::Globals;
use crate::config;
use crate::image::{self, Architecture, Image, Registry, Repository, Source};
use crate::kinds::ecr;
use crate::stack::Names;
use crate::ui::{Printer, push_view};

/// Pushes an image into the stack's repository, and prints its digest.
///
/// IMAGE is an OCI layout or a `docker save` archive (a directory, or a tar file, gzipped or not), else
/// the name of an image of the local docker or podman. Archives need neither. All of it is checked
/// before anything is sent, also that it is built for the processor the stack's tasks run on; of an
/// image for several platforms that one is taken. Layers the repository has are skipped.
#[derive(Args, Debug)]
pub struct PushArgs {
    /// An archive, a directory, or the name of an image
    #[arg(value_name = "IMAGE")]
    image: String,
    /// The tag in the repository [default: that of the image's name, else the first 12 digits of its
    /// digest]
    #[arg(long, value_name = "TAG")]
    tag: Option<String>,
    /// Do not ask before a tag is taken from another image
    #[arg(long, short)]
    yes: bool,
}

/// Runs the command.
pub async fn run(
    args: PushArgs,
    globals: &Globals,
    printer: &Printer,
) -> Result<ExitCode, CommandError> {
    if let Some(tag) = &args.tag {
        image::check_tag(tag)?;
    }
    let source = Source::of(&args.image)?;
    let local = Local::open(globals, printer).await?;
    let names = Names::of(&local.suffix);
    let session = Session::reach(local, globals, printer).await?;
    let repository = names.repository();
    let found = our_repository(&session, &repository).await?;
    let wanted = processor(&session, &names, printer).await?;
    printer.note(format!("Reading {} …", args.image));
    let image = source.read(wanted).await?;
    let tag = args
        .tag
        .or_else(|| source.tag())
        .unwrap_or_else(|| image.own_tag());
    check_move(&session, &image, (&repository, &tag), args.yes, printer).await?;
    let registry = image::authorize(&session.aws).await?;
    check_registry(&registry, globals)?;
    let stop = interrupt::changing();
    printer.note(format!(
        "Pushing {} ({}) as {repository}:{tag}",
        push_view::short(&image.digest),
        push_view::size(image.size())
    ));
    let (progress, follower) = push_view::follow(printer, &image);
    let pushing = image::push(&image, &registry, &repository, &tag, &progress);
    // What is dropped half-way leaves no image, and the parts that arrived are skipped the next time.
    let pushed = stop.cut(pushing).await;
    follower.finish().await;
    let Ok(pushed) = pushed else {
        printer.warn("stopped; run the same command again: what has arrived is not sent twice");
        return Err(CommandError::Reported(interrupt::INTERRUPTED));
    };
    let pushed = pushed?;
    if printer.is_json() {
        printer.json_line(&push_view::to_json(
            &image,
            &pushed,
            (&repository, &tag),
            &found.uri,
        ));
    } else {
        printer.data(&image.digest);
        printer.note(format!(
            "{} uploaded ({}), {} there already. Release it with `orderctl deploy {tag}`.",
            pushed.uploaded,
            push_view::size(pushed.uploaded_bytes),
            pushed.skipped
        ));
    }
    Ok(DONE)
}

/// Refuses to push where no repository of ours is (law 3).
async fn our_repository(session: &Session, repository: &str) -> Result<Repository, CommandError> {
    let stack = &session.local.suffix;
    match image::repository(&session.aws, repository, stack.as_str()).await? {
        Some(found) if found.is_ours => Ok(found),
        Some(_) => Err(CommandError::failed(format!(
            "the repository `{repository}` does not carry the tag of stack `{stack}`"
        ))
        .hint("`orderctl up --adopt` takes it over; another suffix leaves it alone")),
        None => Err(CommandError::failed(format!("there is no repository `{repository}`"))
            .hint("run `orderctl up` first: it makes the repository, and parks the service until an image is there")),
    }
}

/// The processor that the stack's tasks run on: that of the task definition, and before there is one,
/// the declared one.
async fn processor(
    session: &Session,
    names: &Names,
    printer: &Printer,
) -> Result<Architecture, CommandError> {
    let declared = match session.local.settings.config.service.architecture {
        config::Architecture::X86_64 => Architecture::Amd64,
        config::Architecture::Arm64 => Architecture::Arm64,
    };
    let Some(runs) = image::processor(&session.aws, &names.family()).await? else {
        return Ok(declared);
    };
    if runs != declared {
        printer.warn(format!(
            "the task definition is for {runs} and `service.architecture` says {declared}; the image must be for {runs} \
             until `orderctl up` changes that"
        ));
    }
    Ok(runs)
}

/// Asks before a tag moves. Whoever runs an image by that tag gets another one then.
async fn check_move(
    session: &Session,
    image: &Image,
    (repository, tag): (&str, &str),
    yes: bool,
    printer: &Printer,
) -> Result<(), CommandError> {
    let now = ecr::image_digest(&session.aws, repository, tag).await?;
    let Some(other) = now.filter(|digest| *digest != image.digest) else {
        return Ok(());
    };
    printer.note(format!(
        "{repository}:{tag} is {other} now, and would be {}.",
        image.digest
    ));
    if yes || confirm(printer, &format!("Move the tag `{tag}`?")).await? {
        return Ok(());
    }
    Err(CommandError::failed("nothing was pushed").hint("give another tag with --tag"))
}

/// An emulator that sends us to AWS has no registry: dummy credentials have no business there.
fn check_registry(registry: &Registry, globals: &Globals) -> Result<(), CommandError> {
    let is_emulated = globals.sandbox || globals.endpoint_url.is_some();
    if is_emulated && registry.is_of_aws() {
        let message = format!(
            "what answers for AWS here has no registry; it names {}",
            registry.host
        );
        return Err(
            CommandError::failed(message).hint("use --sandbox, or push without --endpoint-url")
        );
    }
    Ok(())
}
