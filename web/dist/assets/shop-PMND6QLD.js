import"./shop.chunk-N7ZNWDUR.js";import"./shop.chunk-NOV75CWV.js";
