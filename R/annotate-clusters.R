#' Annotate clusters with cell types
#'
#' Takes the clusters and their markers to an engine and writes the answers into the metadata: the
#' label as `<key>`, and beside it `<key>_detail`, `<key>_confidence`, `<key>_ontology_id` and
#' `<key>_status`. Labels are joined by the exact name of the cluster. Idents are never changed.
#' The whole table, with the evidence and where it came from, is stored in the object;
#' [Annotations()] returns it.
#'
#' Everything is checked before the engine runs, and an error or an interrupt leaves the object as
#' it was. What an engine has finished is kept in a run: see [ListRuns()] and
#' [ResumeAnnotation()].
#'
#' @section Objects that are read:
#' Seurat objects of Seurat 3, 4 and 5, whose assay may be joined, split into layers (`JoinLayers()`
#' is not called, and only needed where markers are to be computed), an SCT assay or any other, and
#' SingleCellExperiment objects. The
#' matrices may be sparse or dense, in memory, or on disk as DelayedArray, HDF5Array or a
#' BPCells IterableMatrix; they are read a block of cells at a time and never joined, transposed
#' or made dense. BPCells could not be installed where cellferry is tested: the tests use a class
#' with the same interface in its place. [StudyReport()] lists what of an object is read.
#'
#' An assay may have fewer cells than the object, as the sketch of `Seurat::SketchData()` does. The
#' others were not measured, so they are in no figure: percentages, markers and evidence are of the
#' cells that the assay has. The label of a cluster goes to all cells of the cluster, and a warning
#' says how many cells were not read. An object with an assay or an image of a class whose package
#' is not installed is refused before any work.
#'
#' @section Subclusters:
#' `AnnotateClusters(x, group.by = "sub.cluster", within = "cell_type")` annotates what
#' [Seurat::FindSubCluster()] made of some clusters of an object that is labelled. A cluster of
#' `group.by` that has the cells of an earlier cluster is untouched: it keeps label, evidence,
#' status, confidence and decisions, and costs nothing. Every other one is a part of the earlier
#' cluster that all its cells were in, or that its name says (`3_0` of Seurat and `3,0` of scanpy
#' are parts of `3`) if most of them were. Parts are annotated by their markers against the rest;
#' those against their sisters are in the record too.
#'
#' The answer for a part is compared with the label of the whole that is in force, be it a
#' person's, in the Cell Ontology. A kind of it stays. The same, something broader, or "Unknown"
#' says nothing finer: the part keeps the label of the whole, and `<key>_detail` says what the
#' answer was. Anything else contradicts it: the warning `within` lists it, and so do `attention`
#' (`contradicts_parent`) and `justification` of [Annotations()]; the embedded engine takes a kind
#' of the label instead where one fits at least 0.8 times as well. A decision about the whole holds
#' for parts whose answer is no kind of its label; for the others it gives way and stays in the
#' history.
#'
#' @section Clusters that get no label:
#' A cluster of which the engine can't name the type has the label "Unknown" and the status
#' `unknown`. A cluster that failed or has no markers has `NA` and the status `failed` or
#' `skipped`. Cells without a cluster have `NA` everywhere.
#'
#' @param object A Seurat object, a SingleCellExperiment or SummarizedExperiment, a named list of
#'   such objects (each is annotated, `markers` is then a list with the same names, and so is the
#'   value), or a marker table (a data frame, or a
#'   named list as [ReadMarkers()] reads it), for which the answer is a table. In a table,
#'   `group.by` names the column with the clusters if it is not to be detected. Or the path of a
#'   file with any of them (`.rds`, `.h5ad`, a zarr folder, CSV, TSV), for which the answer is a
#'   table too: what is in a file is seen by its content, and it stays as it is. Several paths of
#'   objects (but `.rds`) are read as one, see [AnnotateCells()].
#' @param markers Marker table of these clusters: the result of `FindAllMarkers()`, a path, a
#'   named list of genes; see [ReadMarkers()]. `NULL`: found as [FindClusterMarkers()] does with
#'   `only.pos = TRUE, logfc.threshold = 0.25, min.pct = 0.1, rules = "5.0.1"`, whatever Seurat is
#'   installed.
#' @param engine Name of an engine ([KnownEngines()] lists them), or an engine such as
#'   [LocalEngine()] or [LLMEngine()]. One that answers cells names each cluster after most of its
#'   cells. Several, as `list(a = "local", b = LLMEngine("openai", "gpt-5"))` or several names, all
#'   answer: each label is in `<key>_<name>`, with its record, and what they agree on
#'   ([ConsensusLabels()]) is the answer under `key`. Keys and consents of all are checked before
#'   the first begins; one that fails has no vote.
#' @param group.by Metadata column with the clusters; `"ident"` is the active identity (in a
#'   SingleCellExperiment the column `ident`, else `label`).
#' @param key Name of the label column. Where it is not given, `within` is, and its labels are ours,
#'   it is that of `within`.
#' @param tissue,species,study.context What is known of the sample, as text. What is understood is
#'   said; [KnownTissues()] lists the tissues. A species is a name, a Latin name, a taxon number or
#'   a genome assembly; `NULL` is found by the gene names.
#' @param assay Assay to read; `NULL` is the default assay (`logcounts` in a
#'   SingleCellExperiment).
#' @param overwrite Whether columns of these names that cellferry did not write may be replaced.
#'   Columns that it wrote and whose record was lost, as after `merge()`, are replaced with a
#'   warning.
#' @param allow.upload Whether the engine may send expression or metadata off this machine.
#' @param verbose Whether to show messages, progress and the table of labels.
#' @param dry.run Whether only to return the plan: calls, bytes, tokens and estimated cost, of
#'   several engines together. No call is made, and neither a key nor consent is needed.
#' @param levels Whether to write `<key>_broad`, `<key>_medium` and `<key>_fine` too: broader labels
#'   of the labels, which follow every decision.
#' @param within Metadata column with earlier labels, such as `"cell_type"`, of whose clusters
#'   `group.by` has subclusters: only these are annotated. See the section on subclusters.
#' @param ... Options of the engine, by their exact names; see [Engine()].
#'
#' @return The object with the new columns, which [LastAnnotated()] finds again; for a marker table
#'   what [Annotations()] returns (invisibly, if it was shown). After a dry run a list with the
#'   plan, of class `cellferry_plan`.
#' @family annotation
#' @seealso [cellferry_conditions] for the errors and warnings.
#' @examplesIf cellferry:::has_backend()
#' # Runs are kept in the user's data folder; here in a temporary one.
#' Sys.setenv(CELLFERRY_HOME = file.path(tempdir(), "cellferry"))
#' x <- AnnotateClusters(SeuratObject::pbmc_small, verbose = FALSE)
#' table(x$cell_type)
#' Annotations(x)
#' @examples
#' \dontrun{
#' x <- Seurat::FindSubCluster(x, "0", graph.name = "RNA_snn")
#' x <- AnnotateClusters(x, group.by = "sub.cluster", within = "cell_type")
#' AnnotateClusters(x, engine = LLMEngine("openai", "gpt-5"), dry.run = TRUE)
#' }
#' @export
AnnotateClusters <- function(object, markers = NULL, engine = "local", group.by = "ident",
                             key = "cell_type", tissue = NULL, species = NULL,
                             study.context = NULL, assay = NULL, overwrite = FALSE,
                             allow.upload = FALSE, verbose = TRUE, dry.run = FALSE,
                             within = NULL, levels = FALSE, ...) {
  UseMethod("AnnotateClusters")
}

#' @rdname AnnotateClusters
#' @export
AnnotateClusters.Seurat <- function(object, markers = NULL, engine = "local", group.by = "ident",
                                    key = "cell_type", tissue = NULL, species = NULL,
                                    study.context = NULL, assay = NULL, overwrite = FALSE,
                                    allow.upload = FALSE, verbose = TRUE, dry.run = FALSE,
                                    within = NULL, levels = FALSE, ...) {
  if (is_several(engine)) {
    check_alone(list(...), within)
    request_of <- requests_of(
      group.by, tissue, species, study.context, assay, overwrite, allow.upload
    )
    if (is.null(markers)) {
      # They are found once.
      markers <- found_once(object, group.by, assay, verbose)
    }
    ask <- function(object, request) annotate_object(object, request, markers)
    return(annotate_by_several(object, engine, key, request_of, ask, verbose, levels, dry.run))
  }
  request <- new_request(
    engine, list(...), group.by, key, tissue, species, study.context, assay, overwrite,
    allow.upload, verbose,
    dry.run = dry.run, within = within, levels = levels, key.given = !missing(key)
  )
  annotate_object(object, request, markers)
}

#' @rdname AnnotateClusters
#' @export
AnnotateClusters.SingleCellExperiment <- AnnotateClusters.Seurat

#' @rdname AnnotateClusters
#' @export
AnnotateClusters.SummarizedExperiment <- AnnotateClusters.Seurat

#' @rdname AnnotateClusters
#' @export
AnnotateClusters.data.frame <- function(object, markers = NULL, engine = "local",
                                        group.by = "ident", key = "cell_type", tissue = NULL,
                                        species = NULL, study.context = NULL, assay = NULL,
                                        overwrite = FALSE, allow.upload = FALSE, verbose = TRUE,
                                        dry.run = FALSE, within = NULL, levels = FALSE, ...) {
  if (is_several(engine)) {
    check_alone(list(...), within)
    request_of <- requests_of(
      group.by, tissue, species, study.context, assay, overwrite, allow.upload
    )
    ask <- function(object, request) {
      check_table(request, markers)
      annotate_table(object, request)
    }
    return(annotate_by_several(object, engine, key, request_of, ask, verbose, levels, dry.run))
  }
  request <- new_request(
    engine, list(...), group.by, key, tissue, species, study.context, assay, overwrite,
    allow.upload, verbose,
    dry.run = dry.run, within = within, levels = levels
  )
  check_table(request, markers)
  annotate_table(object, request)
}

#' @rdname AnnotateClusters
#' @param output For the path of a file: where the labelled object goes, an `.rds` where an `.rds`
#'   was read and an `.h5ad` else. `NULL`: it is not written.
#' @export
AnnotateClusters.character <- function(object, markers = NULL, engine = "local",
                                       group.by = "ident", key = "cell_type", tissue = NULL,
                                       species = NULL, study.context = NULL, assay = NULL,
                                       overwrite = FALSE, allow.upload = FALSE, verbose = TRUE,
                                       dry.run = FALSE, within = NULL, levels = FALSE,
                                       output = NULL, ...) {
  check_paths(object, "object")
  check_text(output, "output", null = TRUE)
  if (is_several(engine)) {
    check_one_path(object)
    check_alone(list(...), within)
    asked <- list(
      markers = markers, engine = engine, group.by = group.by, key = key, tissue = tissue,
      species = species, study.context = study.context, assay = assay, overwrite = overwrite,
      allow.upload = allow.upload, verbose = verbose, levels = levels, dry.run = dry.run
    )
    return(annotate_path_by_several(path.expand(object), asked, output))
  }
  request <- new_request(
    engine, list(...), group.by, key, tissue, species, study.context, assay, overwrite,
    allow.upload, verbose,
    dry.run = dry.run, within = within, levels = levels, key.given = !missing(key)
  )
  annotate_file(path.expand(object), request, output, markers)
}

#' @export
AnnotateClusters.default <- function(object, markers = NULL, engine = "local", group.by = "ident",
                                     key = "cell_type", tissue = NULL, species = NULL,
                                     study.context = NULL, assay = NULL, overwrite = FALSE,
                                     allow.upload = FALSE, verbose = TRUE, dry.run = FALSE,
                                     within = NULL, levels = FALSE, ...) {
  if (is_list_of_objects(object)) {
    given <- list(...)
    # A key that is not given is not the same as one that is.
    if (!missing(key)) given$key <- key
    return(annotate_each(object, markers, verbose, function(one, of_one) {
      rlang::exec(
        AnnotateClusters, one, of_one,
        engine = engine, group.by = group.by, tissue = tissue, species = species,
        study.context = study.context, assay = assay, overwrite = overwrite,
        allow.upload = allow.upload, verbose = verbose, dry.run = dry.run, within = within,
        levels = levels, !!!given
      )
    }))
  }
  # Lists of tables or genes, also of scran and DESeq2, whose classes can have no method here.
  if (is_marker_source(object) || is_unnamed_list(object)) {
    return(AnnotateClusters.data.frame(
      object, markers, engine, group.by, key, tissue, species, study.context, assay, overwrite,
      allow.upload, verbose, dry.run, within, levels, ...
    ))
  }
  stop_unsupported(object)
}
