# Where the cells are in the tissue: the images of a Seurat object, and what is read of them.

# Coordinates of `cells` (see measured_cells()) in each image, one row for each in their order, NA
# for cells that it does not have: `list(name, class, key, assay, values, about, left)`. Columns of
# `values` are x and y; `about` is what centroids are made of beside them, NULL for other images;
# `left` names what of the image is not in the values. `values` is NULL where there are no
# coordinates that are understood.
extract_spatial <- function(object, cells = NULL) {
  if (!is_seurat(object)) {
    return(list())
  }
  cells <- of_measured(extract_cells(object), cells)
  images <- slot_or(object, "images")
  lapply(stats_names(images), function(name) {
    image <- images[[name]]
    found <- coordinates_of(image)
    list(
      name = name, class = class(image)[1], key = as.character(slot_or(image, "key")),
      assay = as.character(slot_or(image, "assay")),
      values = if (!is.null(found$xy)) unname(found$xy[match(cells, found$cells), , drop = FALSE]),
      about = found$about, boundary = found$boundary, left = image_parts(image, found$boundary)
    )
  })
}

# A slot that objects of older versions may not have.
slot_or <- function(x, name, none = NULL) {
  if (methods::.hasSlot(x, name)) methods::slot(x, name) else none
}

# `list(cells, xy, boundary, about)` of an image, by how it stores them and not by its class.
coordinates_of <- function(image) {
  frame <- slot_or(image, "coordinates")
  if (is.data.frame(frame)) {
    # Rows of a picture go down, so that x is the column.
    columns <- list(c("imagecol", "imagerow"), c("x", "y"), c("x_centroid", "y_centroid"))
    chosen <- Filter(function(pair) all(pair %in% names(frame)), columns)
    if (!length(chosen)) {
      return(NULL)
    }
    return(list(cells = rownames(frame), xy = as.matrix(frame[chosen[[1]]])))
  }
  boundaries <- slot_or(image, "boundaries", list())
  is_centroids <- vapply(boundaries, function(x) {
    methods::.hasSlot(x, "coords") && methods::.hasSlot(x, "cells")
  }, NA)
  if (!any(is_centroids)) {
    return(NULL)
  }
  boundary <- names(boundaries)[is_centroids][1]
  stored <- boundaries[[boundary]]
  xy <- methods::slot(stored, "coords")[, 1:2, drop = FALSE]
  # Read10X_Image() puts the row of the picture first.
  swapped <- methods::.hasSlot(image, "scale.factors")
  if (swapped) xy <- xy[, 2:1, drop = FALSE]
  numbers <- lapply(c(radius = "radius", nsides = "nsides", theta = "theta"), function(name) {
    as.double(slot_or(stored, name))
  })
  list(
    cells = methods::slot(stored, "cells"), xy = xy, boundary = boundary,
    about = c(numbers, list(swapped = swapped))
  )
}

# What else an image has: "picture", "molecules", other boundaries.
image_parts <- function(image, boundary) {
  c(
    if (length(slot_or(image, "image"))) "picture",
    if (length(slot_or(image, "molecules"))) "molecules",
    setdiff(names(slot_or(image, "boundaries")), boundary)
  )
}

# Images of centroids; see construct_seurat(). `images` are list(name, key, assay, cells, values,
# radius, nsides, theta), of which the last three may be NULL.
construct_images <- function(images) {
  made <- lapply(images, function(image) {
    frame <- data.frame(x = image$values[, 1], y = image$values[, 2], cell = image$cells)
    given <- list(nsides = image$nsides, radius = image$radius, theta = image$theta)
    given <- Filter(length, given)
    make <- getExportedValue("SeuratObject", "CreateCentroids")
    centroids <- do.call(make, c(list(frame), given))
    getExportedValue("SeuratObject", "CreateFOV")(
      stats::setNames(list(centroids), image$boundary), type = "centroids", assay = image$assay,
      key = image$key
    )
  })
  named_by(made, images)
}

# Names of `obsm` that an AnnData had when it became this object.
extract_obsm_names <- function(object) {
  if (!is_seurat(object)) {
    return(character())
  }
  report <- slot_or(object, "misc")[["anndata"]][["report"]]
  if (is.data.frame(report)) as.character(report$item[report$kind %in% "obsm"]) else character()
}
