# Labels of persons in real objects: they come home, and stay with their cells.

annotated <- function(object = small_object(), ...) {
  AnnotateClusters(object, small_markers(), tissue = "blood", verbose = FALSE, ...)
}

set_labels <- function(...) SetLabels(..., verbose = FALSE)

engines <- c("T cell", "Monocyte", "Naive B cell")

of_cell <- function(object, name = "cell_type") {
  as.character(extract_metadata(object)[[name]])
}

test_that("a label is in force in the metadata, the table and what is made of it", {
  skip_without_backend()
  local_home()
  object <- annotated()
  made <- set_labels(object, "0" = "Kupffer cells", "1" = "Monocyte", reason = "why", by = "AB")
  found <- Annotations(made)
  expect_identical(found$label, c("Kupffer cells", engines[-1]))
  expect_identical(found$engine_label, c(engines[1:2], NA))
  expect_identical(found$decision, c("relabelled", "accepted", NA))
  expect_identical(found$decided_by, c("AB", "AB", NA))
  expect_identical(found$reason, c("why", "why", NA))
  expect_identical(found$ontology_id[1], "CL:0000091")
  expect_identical(found$n_cells, c(36L, 25L, 19L))
  in_first <- SeuratObject::Idents(object) == "0"
  expect_true(all(of_cell(made)[in_first] == "Kupffer cells"))
  expect_identical(of_cell(made)[!in_first], of_cell(object)[!in_first])
  expect_true(all(is.na(made$cell_type_confidence[in_first])))
  expect_false(anyNA(made$cell_type_confidence[!in_first]))
  expect_identical(
    of_cell(made, "cell_type_decision"),
    unname(c("0" = "relabelled", "1" = "accepted")[as.character(SeuratObject::Idents(object))])
  )
  expect_identical(SeuratObject::Idents(made), SeuratObject::Idents(object))
  genes <- SupportingMarkers(made)
  expect_named(genes, found$label)
  expect_identical(unname(genes), unname(SupportingMarkers(object)))
  file <- withr::local_tempfile(fileext = ".html")
  AnnotationReport(made, file, verbose = FALSE)
  expect_match(paste(readLines(file, warn = FALSE), collapse = "\n"), "Kupffer cells")
  table <- withr::local_tempfile(fileext = ".csv")
  WriteAnnotations(made, table, verbose = FALSE)
  expect_true("Kupffer cells" %in% utils::read.csv(table)$label)
})

test_that("labels are given by names, a vector, a list, a table or a file", {
  skip_without_backend()
  local_home()
  object <- annotated()
  wanted <- c("0" = "B cell", "2" = "Plasma cell")
  frame <- data.frame(cluster = c(0, 2), label = unname(wanted))
  csv <- withr::local_tempfile(fileext = ".csv")
  tsv <- withr::local_tempfile(fileext = ".tsv")
  utils::write.csv(frame, csv, row.names = FALSE)
  utils::write.table(frame, tsv, sep = "\t", row.names = FALSE)
  for (given in list(
    wanted, as.list(wanted), factor(wanted), frame, csv, tsv,
    transform(frame, cluster = factor(cluster))
  )) {
    if (is.factor(given)) names(given) <- names(wanted)
    found <- Annotations(set_labels(object, given))
    expect_identical(found$label, c("B cell", "Monocyte", "Plasma cell"))
  }
  beside <- cbind(frame, reason = c("one", NA), by = "AB", decision = c(NA, "needs_work"))
  found <- Annotations(set_labels(object, beside))
  expect_identical(found$decision, c("relabelled", NA, "needs_work"))
  expect_identical(found$label, c("B cell", engines[-1]))
  expect_identical(found$reason, c("one", NA, NA))
})

test_that("decisions without a label, and who decides", {
  skip_without_backend()
  local_home()
  withr::local_options(cellferry.reviewer = "CD")
  object <- set_labels(annotated(), clusters = 1, decision = "needs_work")
  object <- set_labels(object, "0" = NA, decision = "unknown", by = "EF")
  object <- set_labels(object, "2" = "unknown")
  found <- Annotations(object)
  expect_identical(found$decision, c("unknown", "needs_work", "unknown"))
  expect_identical(found$label, c("Unknown", "Monocyte", "Unknown"))
  expect_identical(found$status, c("unknown", "ok", "unknown"))
  expect_identical(found$decided_by, c("EF", "CD", "CD"))
  expect_named(SupportingMarkers(object), "Monocyte")
})

test_that("cells that are chosen by hand get a label, and their cluster keeps its own", {
  skip_without_backend()
  local_home()
  object <- annotated()
  cells <- colnames(object)[c(1, 40, 80)]
  made <- set_labels(object, "Plasma cell", cells = cells)
  expect_identical(of_cell(made)[c(1, 40, 80)], rep("Plasma cell", 3))
  expect_identical(of_cell(made)[-c(1, 40, 80)], of_cell(object)[-c(1, 40, 80)])
  expect_identical(Annotations(made)$label, engines)
  expect_identical(sum(Annotations(made)$n_decided, na.rm = TRUE), 3L)
  again <- annotated(made)
  expect_identical(of_cell(again), of_cell(made))
  gone <- WithdrawDecision(again, cells = cells, verbose = FALSE)
  expect_identical(of_cell(gone), of_cell(object))
})

test_that("edits by hand are refused by a second run, and adopted", {
  skip_without_backend()
  local_home()
  object <- annotated()
  levels(object$cell_type) <- c(levels(object$cell_type), "NK cell")
  object$cell_type[1:5] <- "NK cell"
  expect_messages(annotated(object), "decisions-edited")
  expect_error(set_labels(object, "0" = "B cell"), class = "cellferry_labels_edited_error")
  kept <- set_labels(object, from = "cell_type", reason = "by eye")
  expect_identical(of_cell(kept), of_cell(object))
  expect_identical(Decisions(kept)$n_cells, 5L)
  expect_identical(of_cell(annotated(kept)), of_cell(object))
  expect_identical(
    of_cell(annotated(object, overwrite = TRUE)), of_cell(annotated())
  )
})

test_that("labels of another tool and renamed identities are adopted", {
  skip_without_backend()
  local_home()
  object <- annotated(group.by = "RNA_snn_res.1")
  object <- SeuratObject::RenameIdents(object, "0" = "NK cell", "1" = "Monocyte", "2" = "B cell")
  made <- set_labels(object, from = "ident")
  expect_identical(Annotations(made)$label, c("NK cell", "Monocyte", "B cell"))
  expect_identical(Annotations(made)$decision, c("relabelled", NA, "relabelled"))
  object$other <- rep(c("T cell", NA), 40)
  made <- set_labels(object, from = "other")
  expect_identical(of_cell(made)[object$other %in% "T cell"], rep("T cell", 40))
  expect_identical(of_cell(made)[is.na(object$other)], of_cell(object)[is.na(object$other)])
})

test_that("a decision stays with its cells in what Seurat does", {
  skip_without_backend()
  local_home()
  object <- set_labels(annotated(), "0" = "Kupffer cell", by = "AB")
  cells <- colnames(object)[SeuratObject::Idents(object) == "0"]
  is_kept <- function(object, name, n) {
    found <- Annotations(object)
    expect_identical(found$decision[found$cluster == name], "relabelled")
    expect_identical(found$label[found$cluster == name], "Kupffer cell")
    expect_identical(found$n_cells[found$cluster == name], n)
    expect_identical(sum(of_cell(object) == "Kupffer cell"), n)
  }
  is_kept(annotated(object), "0", 36L)
  part <- subset(object, cells = colnames(object)[-(1:10)])
  is_kept(part, "0", sum(cells %in% colnames(part)))
  is_kept(annotated(part), "0", sum(cells %in% colnames(part)))
  renamed <- SeuratObject::RenameCells(object, add.cell.id = "a")
  is_kept(annotated(renamed), "0", 36L)
  numbered <- renamed_object(c("7", "8", "0"), "new")
  numbered@meta.data <- cbind(numbered@meta.data, object@meta.data[setdiff(
    names(object@meta.data), names(numbered@meta.data)
  )])
  numbered@misc <- object@misc
  numbered <- AnnotateClusters(
    numbered, renamed_markers(c("7", "8", "0")),
    group.by = "new", verbose = FALSE
  )
  is_kept(numbered, "7", 36L)
  expect_identical(Annotations(numbered)$decision, c(NA, "relabelled", NA))
  file <- withr::local_tempfile(fileext = ".rds")
  saveRDS(object, file)
  is_kept(annotated(readRDS(file)), "0", 36L)
  # The engine may say anything: the person's label stays, and its answer is beside it.
  other <- AnnotateClusters(object, engine = "local", tissue = "liver", verbose = FALSE)
  is_kept(other, "0", 36L)
})

test_that("a decision about cells that are no cluster any more is offered, not lost", {
  skip_without_backend()
  local_home()
  object <- set_labels(annotated(), "0" = "Kupffer cell", by = "AB")
  set.seed(1)
  object$two <- ifelse(SeuratObject::Idents(object) == "2", "b", "a")
  again <- function() AnnotateClusters(object, group.by = "two", verbose = FALSE)
  expect_messages(again(), "decisions-stale", c("[0-9]+ clusters? without.*" = "..."))
  stale <- suppressWarnings(again(), classes = "cellferry_warning")
  expect_identical(Annotations(stale)$decision, c("stale", NA))
  expect_false("Kupffer cell" %in% of_cell(stale))
  expect_identical(Decisions(stale)$state, "stale")
  carried <- CarryDecisions(stale, verbose = FALSE)
  expect_identical(of_cell(carried) == "Kupffer cell", object$two == "a", ignore_attr = TRUE)
  expect_identical(Annotations(carried)$decision, c("relabelled", NA))
  expect_error(
    CarryDecisions(stale, clusters = "b"), "No decision is offered",
    class = "cellferry_invalid_option_error"
  )
  # From another object of the same cells.
  fresh <- small_object()
  fresh$two <- object$two
  fresh <- suppressWarnings(
    AnnotateClusters(fresh, group.by = "two", verbose = FALSE),
    classes = "cellferry_warning"
  )
  fresh <- CarryDecisions(fresh, from = object, by = "CD", verbose = FALSE)
  expect_identical(Annotations(fresh)$label[1], "Kupffer cell")
  expect_identical(Annotations(fresh)$decided_by[1], "CD")
  withdrawn <- WithdrawDecision(stale, "0", verbose = FALSE)
  expect_identical(Annotations(withdrawn)$decision, c(NA_character_, NA))
})

test_that("the history is a data frame, and a file that another object takes", {
  skip_without_backend()
  local_home()
  object <- annotated()
  expect_identical(nrow(Decisions(object)), 0L)
  made <- set_labels(object, "0" = "Kupffer cell", reason = "\u00e9", by = "AB")
  made <- set_labels(made, "0" = "B cell")
  made <- set_labels(made, "2" = "Plasma cell")
  made <- WithdrawDecision(made, "2", verbose = FALSE)
  file <- withr::local_tempfile(fileext = ".json")
  found <- Decisions(made, file = file)
  expect_identical(found$cluster, c("0", "0", "2", "2"))
  expect_identical(found$state, c("replaced", "in force", "withdrawn", "in force"))
  expect_identical(found$label, c("Kupffer cell", "B cell", "Plasma cell", NA))
  expect_identical(found$reason, c("\u00e9", NA, NA, NA))
  expect_identical(found$by, c("AB", NA, NA, NA))
  expect_identical(found$n_cells, c(36L, 36L, 19L, 19L))
  applied <- ApplyDecisions(object, file, verbose = FALSE)
  expect_identical(of_cell(applied), of_cell(made))
  expect_identical(ApplyDecisions(applied, file, verbose = FALSE), applied)
  of_run <- file.path(ListRuns()$folder[1], "decisions.jsonl")
  expect_identical(of_cell(ApplyDecisions(object, of_run, verbose = FALSE)), of_cell(made))
  expect_error(
    ApplyDecisions(object[, -c(1, 11, 21)], file), class = "cellferry_decisions_mismatch_error"
  )
  damaged <- withr::local_tempfile(lines = "{\"schema\": \"x\"}", fileext = ".json")
  expect_error(
    ApplyDecisions(object, damaged), class = "cellferry_decisions_format_error"
  )
})

test_that("a table takes decisions and is returned", {
  skip_without_backend()
  local_home()
  table <- suppressMessages(AnnotateClusters(small_markers()))
  made <- set_labels(table, "1" = "Kupffer cell")
  expect_s3_class(made, "cellferry_annotations")
  expect_identical(made$label[2], "Kupffer cell")
  expect_identical(Decisions(made)$label, "Kupffer cell")
  expect_identical(WithdrawDecision(made, "1", verbose = FALSE)$label, table$label)
  counted <- Annotations(annotated()[, -(1:10)])
  expect_identical(set_labels(counted, "1" = "B cell")$n_cells, counted$n_cells)
})

test_that("a SingleCellExperiment is decided about as Seurat objects are", {
  skip_without_backend()
  skip_if_not_installed("SingleCellExperiment")
  local_home()
  object <- annotated(small_sce(), group.by = "label")
  made <- set_labels(object, "0" = "Kupffer cell")
  made <- set_labels(made, "Plasma cell", cells = colnames(made)[1:2])
  expect_identical(of_cell(made)[1:2], rep("Plasma cell", 2))
  expect_identical(sum(of_cell(made) == "Kupffer cell"), 34L)
  again <- annotated(made, group.by = "label")
  expect_identical(of_cell(again), of_cell(made))
  gone <- WithdrawDecision(WithdrawDecision(again, "0"), cells = colnames(made)[1:2])
  expect_identical(of_cell(gone), of_cell(object))
})

test_that("labels of cells that were annotated one by one are decided about", {
  skip_without_backend()
  local_home()
  object <- AnnotateCells(small_object(), verbose = FALSE)
  first <- of_cell(object, "cell_type_cell")
  made <- set_labels(object, "Monocyte" = "Plasma cell")
  expect_identical(
    of_cell(made, "cell_type_cell"), ifelse(first == "Monocyte", "Plasma cell", first)
  )
  found <- Annotations(made)
  expect_identical(sum(found$n_cells), 80L)
  expect_identical(found$n_decided[found$label == "Plasma cell"], sum(first == "Monocyte"))
  again <- AnnotateCells(made, verbose = FALSE)
  expect_identical(of_cell(again, "cell_type_cell"), of_cell(made, "cell_type_cell"))
  gone <- WithdrawDecision(again, "Plasma cell", verbose = FALSE)
  expect_identical(of_cell(gone, "cell_type_cell"), first)
  expect_false("Plasma cell" %in% Annotations(gone)$label)
})

test_that("objects that 0.1.0 labelled take decisions", {
  skip_without_backend()
  local_home()
  object <- readRDS(record("seurat4.rds"))
  made <- set_labels(object, "0" = "Kupffer cell", key = "cell_type")
  expect_identical(
    Annotations(made, "cell_type")$label, c("Kupffer cell", unname(recorded_labels[-1]))
  )
  expect_match(extract_stored(made)$cell_type, "cellferry.annotations/2", fixed = TRUE)
  expect_identical(Annotations(annotated(made), "cell_type")$decision, c("relabelled", NA, NA))
  # What was edited there can't be judged, and nothing is claimed.
  object$cell_type[1:3] <- NA
  expect_silent(annotated(object))
})

test_that("a merged object has lost the record, and no decision is claimed of it", {
  skip_without_backend()
  local_home()
  object <- set_labels(annotated(), "0" = "Kupffer cell")
  merged <- suppressWarnings(merge(object, small_object(), add.cell.ids = c("a", "b")))
  expect_messages(SetLabels(merged, "0" = "B cell"), "decisions-lost")
  expect_warning(
    again <- annotated(merged, group.by = "RNA_snn_res.1"), class = "cellferry_record_lost_warning"
  )
  expect_false("cell_type_decision" %in% names(extract_metadata(again)))
})

test_that("what is wrong is said, and nothing is changed", {
  skip_without_backend()
  local_home()
  object <- annotated()
  expect_messages(SetLabels(object), "decisions-nothing")
  expect_messages(
    SetLabels(object, c("B cell", "T cell", "NK \"bright\" cell")), "decisions-unnamed"
  )
  expect_messages(SetLabels(object, "B cell"), "decisions-unnamed-one")
  expect_messages(SetLabels(object, "0" = "B cell", reasn = "x"), "decisions-typo")
  expect_messages(SetLabels(object, "O" = "B cell"), "decisions-cluster")
  expect_messages(SetLabels(object, "0" = "B cell", "0" = "T cell"), "decisions-twice")
  expect_messages(
    SetLabels(object, data.frame(cluster = c("0", "0"), label = "B cell")), "decisions-twice"
  )
  expect_messages(SetLabels(object, "0" = "B cell", from = "groups"), "decisions-ways")
  expect_messages(SetLabels(object, "0" = "B cell", cells = "x"), "decisions-cells-named")
  expect_messages(SetLabels(object, "B cell", cells = c("x", "y")), "decisions-cells")
  expect_messages(SetLabels(object, "0" = mean), "decisions-no-text")
  expect_messages(SetLabels(object, mean), "decisions-no-labels")
  expect_messages(SetLabels(object, "labels.csv"), "decisions-no-file")
  expect_messages(SetLabels(object, data.frame(a = 1)), "decisions-no-columns")
  expect_messages(SetLabels(object, from = "group"), "decisions-no-column")
  expect_messages(SetLabels(object, "0" = NA), "decisions-no-label")
  expect_messages(SetLabels(object, "0" = "B cell", decision = "acepted"), "decisions-word")
  expect_messages(SetLabels(object, "0" = "B cell", ontology.id = "CL:1"), "decisions-term")
  expect_messages(SetLabels(object, "0" = "B\u202ecell"), "decisions-hostile")
  expect_messages(SetLabels(object, "0" = "Kupfer cel"), "decisions-free-text")
  expect_messages(WithdrawDecision(object, "0"), "decisions-undecided")
  expect_messages(WithdrawDecision(object), "decisions-withdraw-what")
  expect_messages(CarryDecisions(Annotations(object)), "decisions-table")
  expect_messages(CarryDecisions(object), "decisions-none-offered")
  expect_messages(
    SetLabels(object, "0" = "Kupffer cells", "2" = "Plasma cell"), "decisions-set"
  )
  gone <- subset(object, cells = colnames(object)[SeuratObject::Idents(object) != "1"])
  expect_messages(SetLabels(gone, "1" = "B cell"), "decisions-empty")
})

test_that("what is printed says what the engine said, and what was decided", {
  skip_without_backend()
  local_home()
  object <- annotated()
  object <- set_labels(object, "0" = "Kupffer cell")
  object <- set_labels(object, "1" = "Monocyte")
  object <- set_labels(object, "B cell", cells = colnames(object)[1:2])
  # The last digit differs between generations of Seurat.
  expect_identical(gsub("(0[.][0-9])[0-9]", "\\1x", format(Annotations(object))), c(
    "cluster  n_cells  label         engine_label  confidence  status  decision",
    "0             36  Kupffer cell  T cell              0.7x  ok      relabelled; 2 cells",
    "1             25  Monocyte                          0.9x  ok      accepted",
    "2             19  Naive B cell                      0.9x  ok",
    "# 3 clusters: 3 ok"
  ))
})

# What Python says of the same metadata and record: n_cells, note, and its printed table.
python_counts <- function(object, key = "cell_type") {
  folder <- withr::local_tempdir()
  columns <- lapply(extract_metadata(object), function(x) {
    if (is.numeric(x) && !is.factor(x)) x else as.character(x)
  })
  jsonlite::write_json(
    list(
      cells = colnames(object), obs = columns, json = jsonlite::unbox(extract_stored(object)[[key]])
    ),
    file.path(folder, "object.json"),
    na = "null", null = "null", digits = NA
  )
  said <- run_python(c(
    "import json, sys, warnings, anndata, pandas as pd, numpy as np",
    "warnings.simplefilter('ignore')",
    sprintf("sent = json.load(open(%s, encoding='utf-8'))", encodeString(
      file.path(folder, "object.json"), quote = "\""
    )),
    "obs = pd.DataFrame(sent['obs'], index=sent['cells'])",
    "data = anndata.AnnData(np.zeros((len(obs), 1), dtype='f4'), obs=obs)",
    sprintf("data.uns['cellferry'] = {'%s': sent['json']}", key),
    "import cellferry",
    "from cellferry.annotations.stored import read_annotations",
    sprintf("found = read_annotations(data, '%s')", key),
    "print(json.dumps([[r.n_cells for r in found], found.table()]))"
  ))
  found <- jsonlite::parse_json(utils::tail(said, 1))
  list(
    n_cells = vapply(found[[1]], function(n) if (is.null(n)) NA_integer_ else as.integer(n), 0L),
    table = strsplit(found[[2]], "\n", fixed = TRUE)[[1]]
  )
}

test_that("R and Python count and print the same of decided rows and cells", {
  skip_without_backend()
  local_home()
  object <- set_labels(annotated(), "0" = "Kupffer cell")
  # Two clusters of one label, a cluster that needs work, and cells of two clusters by hand.
  object <- set_labels(object, "1" = "Kupffer cell")
  object <- set_labels(object, clusters = "2", decision = "needs_work")
  object <- set_labels(object, "Plasma cell", cells = colnames(object)[c(1:3, 70:80)])
  edited <- object
  edited$cell_type <- as.character(edited$cell_type)
  edited$cell_type[20:25] <- "mine"
  no_column <- object
  SeuratObject::Idents(no_column) <- "orig.ident"
  no_column$RNA_snn_res.1 <- NULL
  cells <- set_labels(AnnotateCells(object, verbose = FALSE), "Monocyte" = "Plasma cell",
    key = "cell_type_cell"
  )
  set.seed(1)
  moved <- object
  moved$RNA_snn_res.1 <- factor(sample(c("0", "1", "2"), ncol(object), replace = TRUE))
  SeuratObject::Idents(moved) <- "orig.ident"
  cases <- list(
    whole = object, part = object[, c(1:30, 60:80)],
    one = object[, which(object$cell_type == "Plasma cell")],
    edited = edited, moved = moved, no_column = no_column,
    withdrawn = WithdrawDecision(object, "1", verbose = FALSE)
  )
  for (name in names(cases)) {
    found <- suppressWarnings(python_counts(cases[[name]]))
    expect_identical(Annotations(cases[[name]], "cell_type")$n_cells, found$n_cells, info = name)
    if (anyNA(found$n_cells)) next
    printed <- format(Annotations(cases[[name]], "cell_type"))
    expect_identical(grep("^#", printed, value = TRUE, invert = TRUE), found$table, info = name)
  }
  found <- python_counts(cells, "cell_type_cell")
  expect_identical(Annotations(cells, "cell_type_cell")$n_cells, found$n_cells)
})

test_that("an object goes to Python, is decided about there, and comes back", {
  skip_without_backend()
  local_home()
  object <- set_labels(annotated(), "0" = "Kupffer cell", by = "AB")
  json <- withr::local_tempfile(fileext = ".json")
  writeLines(jsonlite::toJSON(list(
    cells = colnames(object), cluster = as.character(SeuratObject::Idents(object)),
    label = of_cell(object), decision = of_cell(object, "cell_type_decision"),
    json = jsonlite::unbox(extract_stored(object)$cell_type)
  ), na = "null"), json)
  file <- withr::local_tempfile(fileext = ".json")
  run_python(c(
    "import json, anndata, pandas as pd, numpy as np, cellferry",
    sprintf("sent = json.load(open('%s', encoding='utf-8'))", json),
    "names = {'cluster': 'RNA_snn_res.1', 'label': 'cell_type', 'decision': 'cell_type_decision'}",
    "obs = pd.DataFrame({names[n]: sent[n] for n in names}, index=sent['cells'])",
    "data = anndata.AnnData(np.zeros((len(obs), 1), dtype='f4'), obs=obs)",
    "data.uns['cellferry'] = {'cell_type': sent['json']}",
    "cellferry.set_labels(data, {'2': 'Plasma cell'}, by='CD')",
    sprintf("cellferry.decisions(data, file='%s')", file)
  ))
  back <- ApplyDecisions(object, file, verbose = FALSE)
  expect_identical(Annotations(back)$label, c("Kupffer cell", "Monocyte", "Plasma cell"))
  expect_identical(Annotations(back)$decided_by, c("AB", NA, "CD"))
  expect_identical(Decisions(back)$id[1], Decisions(object)$id)
})

test_that("a path is read for its history, and refused where the object is changed", {
  skip_without_backend()
  object <- SetLabels(annotated(), "0" = "Kupffer cell", verbose = FALSE)
  file <- withr::local_tempfile(fileext = ".rds")
  saveRDS(object, file)
  expect_identical(Decisions(file), Decisions(object))
  for (verb in list(
    function() SetLabels(file, "0" = "T cell"), function() WithdrawDecision(file, "0"),
    function() LabelColors(file)
  )) {
    error <- expect_error(verb(), class = "cellferry_unsupported_object_error")
    expect_match(conditionMessage(error), "and was given a path", fixed = TRUE)
    expect_match(conditionMessage(error), paste0("readRDS(\"", file, "\")"), fixed = TRUE)
  }
})
