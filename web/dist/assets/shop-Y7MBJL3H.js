import"./shop.chunk-Z5UCOE3R.js";import"./shop.chunk-NOV75CWV.js";
